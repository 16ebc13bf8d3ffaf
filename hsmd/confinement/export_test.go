package confinement

// Linked gives what the dynamic loader would map for an object in this process,
// with environ.
func Linked(object string, environ ...string) ([]string, error) {
	l, err := ownLinker(environ)
	if err != nil {
		return nil, err
	}
	return l.linked(object), nil
}
