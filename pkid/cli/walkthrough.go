package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

// walkthrough makes calls one after another, printing each as the command that
// would make it. After a failure it makes no more; err says which it was. After a
// call that waits for people's approval it goes on printing, and makes no more.
type walkthrough struct {
	*session
	err     error
	refused *client.ResponseError // what err is of, where the server refused and so did nothing
	waits   string                // the path where to ask for what waits; "": nothing does
}

// write is `pkid write`. A PIN is printed as "pin=-".
func (w *walkthrough) write(path string, args ...string) map[string]any {
	if w.err != nil {
		return nil
	}
	shown := make([]string, len(args))
	for i, arg := range args {
		shown[i] = quote(arg)
		if strings.HasPrefix(arg, "pin=") {
			shown[i] = "pin=-"
		}
	}
	flag := ""
	if len(args) == 0 {
		flag = "-f "
	}
	w.say("write " + flag + strings.Join(append([]string{path}, shown...), " "))
	data, err := parseData(args, w.ctx.App.Reader)
	if err != nil {
		w.err = fail("%v", err)
		return nil
	}
	return w.call(http.MethodPut, path, data)
}

// secrets is `pkid secrets`, whose arguments are not those of the request.
func (w *walkthrough) secrets(verb, args, method, path string, body map[string]any) {
	if w.err != nil {
		return
	}
	w.say("secrets " + verb + " " + args)
	w.call(method, path, body)
}

func (w *walkthrough) say(command string) {
	prompt := "$ "
	if w.waits != "" {
		prompt = "  "
	}
	fmt.Fprintf(w.out, "%spkid %s\n", prompt, command)
}

func (w *walkthrough) call(method, path string, body map[string]any) map[string]any {
	if w.waits != "" {
		return nil
	}
	answer, err := w.Do(w.ctx.Context, &client.Request{Method: method, Path: path, Body: body})
	if err != nil {
		w.err = explain("Error at "+path, err)
		if refusal, is := errors.AsType[*client.ResponseError](err); is && refusal.Status/100 == 4 {
			w.refused = refusal
		}
		return nil
	}
	if answer.Secret == nil {
		return nil
	}
	w.warn(answer.Secret.Warnings)
	if answer.Status == http.StatusAccepted {
		w.wait(text(answer.Secret.Data["approval_id"]), text(answer.Secret.Data["poll"]))
	}
	return answer.Secret.Data
}

// maxTTL is how hsmd names the rule of a key by which a certificate may last less.
var maxTTL = regexp.MustCompile(`max_ttl ([0-9][0-9a-z.]*)`)

// withdraw takes the mount away that was made for what was refused then, so that
// the same can be asked for again, and says what may do where that is known.
func (w *walkthrough) withdraw(mount string) {
	why := fmt.Sprint(w.err)
	if rule := maxTTL.FindStringSubmatch(why); rule != nil {
		why += fmt.Sprintf("\n\nThe key is for certificates that last less: -ttl=%s.", rule[1])
	}
	w.err = nil
	w.secrets("disable", mount, http.MethodDelete, "sys/mounts/"+mount, nil)
	if w.err != nil {
		why += fmt.Sprintf("\n\nThe mount %s is there still: %v", mount, w.err)
	}
	w.err = cli.Exit(why, exitServer)
}

// wait says how it goes on.
func (w *walkthrough) wait(id, poll string) {
	w.waits = poll
	fmt.Fprintf(w.out, "\nThe key signs this only when people have approved it. At hsmd, each of them:\n"+
		"  hsmd approve -statement %s >statement; ssh-keygen -Y sign -n approval@hsmd -f KEY statement\n"+
		"  hsmd approve -signature=statement.sig %[1]s\n"+
		"Then have it signed, before anything that it depends on is changed, and do the rest:\n  pkid read %s\n", id, poll)
}

const managedKeys = "sys/managed-keys/"

// keyKinds are the kinds of managed keys, each with a path of its own.
var keyKinds = []string{"pkcs11", "awskms"}

// managedKey settles on the CA's key and tries it: the name of a managed key,
// or "" for one that hsmd makes and names.
func (w *walkthrough) managedKey(mount string, spec keySpec) string {
	kind, name, library := "pkcs11", w.ctx.String("managed-key"), w.ctx.String("library")
	switch {
	case library != "":
		name = firstOf(name, strings.ToLower(strings.ReplaceAll(mount, "/", "-"))+"-root")
		w.define(name, library, spec)
	case name != "" && w.ctx.IsSet("key-type"):
		w.err = fail("-key-type is for a key that is made; managed key %s has the type of its definition", name)
	case name != "":
		kind = w.kindOf(name)
	case !w.ctx.IsSet("key-type"):
		kind, name = w.onlyManagedKey()
	}
	if name != "" {
		w.write(managedKeys + kind + "/" + name + "/test/sign")
	}
	return name
}

func (w *walkthrough) define(name, library string, spec keySpec) {
	token := "token_label=" + w.ctx.String("token-label")
	switch slot := w.ctx.String("slot"); {
	case slot != "":
		token = "slot=" + slot
	case w.ctx.String("token-label") == "":
		w.err = fail("-library needs -token-label or -slot, to say which token")
		return
	}
	if w.ctx.String("pin") == "" {
		w.err = fail("-library needs -pin (@file, or - for standard input)")
		return
	}
	args := append([]string{"library=" + library, token, "pin=" + w.ctx.String("pin"), "key_label=" + name}, spec.managed...)
	w.write(managedKeys+"pkcs11/"+name, append(args, "allow_generate_key=true", "any_mount=false")...)
}

// kindOf tells which kind of managed key has the name.
func (w *walkthrough) kindOf(name string) string {
	for _, kind := range keyKinds {
		path := managedKeys + kind + "/" + name
		w.say("read " + path)
		_, err := w.Do(w.ctx.Context, &client.Request{Method: http.MethodGet, Path: path})
		if !isNothing(err) {
			return kind // where it could not be read, its test says what is wrong
		}
	}
	w.err = fail("there is no managed key %s", name)
	return ""
}

// onlyManagedKey is the one managed key that there is, and its kind; "" if there
// is none.
func (w *walkthrough) onlyManagedKey() (kind, name string) {
	var keys []any
	for _, k := range keyKinds {
		path := managedKeys + k
		w.say("list " + path)
		answer, err := w.Do(w.ctx.Context, &client.Request{Method: http.MethodGet, Path: path, Query: url.Values{"list": {"true"}}})
		if isNothing(err) {
			continue
		}
		if err != nil {
			w.err = explain("Error listing "+path, err)
			return "", ""
		}
		if answer.Secret == nil {
			continue
		}
		if these, _ := answer.Secret.Data["keys"].([]any); len(these) > 0 {
			keys, kind = append(keys, these...), k
		}
	}
	switch len(keys) {
	case 0:
		return "", ""
	case 1:
		return kind, text(keys[0])
	}
	w.err = fail("there are %d managed keys, %s; say which with -managed-key", len(keys), text(keys))
	return "", ""
}

// quote makes an argument safe to paste into a shell.
func quote(arg string) string {
	if strings.ContainsAny(arg, " \t\n\"'`$\\*?[](){}<>|&;#~!") {
		return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return arg
}
