package api

// authRoutes are the paths below a way to log in, by its type, listed in the
// files that serve them.
func authRoutes() map[string][]route {
	return map[string][]route{
		"approle": compile(approleRoutes),
	}
}
