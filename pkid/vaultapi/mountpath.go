package vaultapi

import "strings"

// MountPath gives the path of a mount as it is kept, with a slash at its end,
// and refuses one that would read as something else in a URL or in a policy.
func MountPath(path string) (string, error) {
	path = strings.Trim(path, "/")
	if path == "" || len(path) > 256 {
		return "", BadRequest("a mount's path must have 1 to 256 characters")
	}
	for s := range strings.SplitSeq(path, "/") {
		if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "+*?#%\\ ") || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", BadRequest("the mount path %q has a part that is empty, '.', '..', or has a blank, '+', '*', '?', '#', '%%' or '\\' in it", path)
		}
	}
	return path + "/", nil
}
