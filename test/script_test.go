package test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/fakekms"
)

// TestScripts plays each script of testdata/script with the two real programs:
// a fresh token, an hsmd and a pkid of its own, whose client commands are on
// the path as "pkid". After each script the invariant of the CA is checked.
//
// Beside testscript's own commands there are:
//
//	daemon start|stop|kill|restart hsmd|pkid   the daemon, waited for
//	config FILE      hsmd's file for its next start, with $PIN and the like
//	                 replaced; the library is added
//	addtoken LABEL   one more token
//	kms ...          AWS KMS, which is at $KMS_URL (see kmsCommand)
//	check            the invariant, now
//	readkey VAR FILE $VAR is the file's line from now on
//	capture VAR PATTERN  $VAR is what its group matches in the last output
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts (%v)", err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runScript(t, script)
		})
	}
}

func runScript(t *testing.T, script string) {
	pair, kms := daemon.Start(t), fakekms.Start(t)
	testscript.Run(t, testscript.Params{
		Files:               []string{script},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, pair.PKID.Env()...)
			env.Vars = append(env.Vars, pair.Token.Env()...)
			env.Vars = append(env.Vars,
				"PATH="+daemon.Bin(t)+string(os.PathListSeparator)+os.Getenv("PATH"),
				"HOME="+env.WorkDir,
				"HSMD_SOCK="+pair.HSMD.Socket,
				"HSMD_CONFIG="+pair.HSMD.Config,
				"HSMD_STATE="+pair.HSMD.State,
				"PKID_CONFIG="+pair.PKID.Config,
				"STORAGE="+pair.PKID.State,
				"CONF="+pair.Token.Conf,
				"LIBRARY="+pair.Token.Library,
				"LABEL="+pair.Token.Label,
				"SERIAL="+pair.Token.Serial,
				"SLOT="+strconv.FormatUint(pair.Token.Slot, 10),
				"PIN="+pair.Token.PIN,
				"KMS_URL="+kms.URL, "KMS_REGION="+fakekms.Region, "KMS_ACCESS_KEY="+fakekms.AccessKey, "KMS_SECRET_KEY="+fakekms.SecretKey)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"daemon":   func(ts *testscript.TestScript, _ bool, args []string) { daemonCommand(ts, pair, args) },
			"config":   func(ts *testscript.TestScript, _ bool, args []string) { configCommand(ts, t, pair, args) },
			"addtoken": func(_ *testscript.TestScript, _ bool, args []string) { pair.Token.Add(t, args[0]) },
			"kms":      func(ts *testscript.TestScript, _ bool, args []string) { kmsCommand(ts, kms, args) },
			"readkey": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
			},
			"capture": func(ts *testscript.TestScript, _ bool, args []string) { capture(ts, args) },
			"check":   func(*testscript.TestScript, bool, []string) { check.CA(t, pair) },
		},
	})
	check.CA(t, pair)
	check.NoSecrets(t, pair, fakekms.SecretKey)
}

// capture sets a variable to what a pattern's group matches in what the last
// program printed.
func capture(ts *testscript.TestScript, args []string) {
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("capture: %q matches nothing", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// kmsCommand asks the AWS KMS of the tests what it was asked for, or has it go
// silent.
func kmsCommand(ts *testscript.TestScript, kms *fakekms.Server, args []string) {
	switch {
	case len(args) == 3 && args[0] == "count":
		if got := strconv.Itoa(kms.Count(args[1])); got != args[2] {
			ts.Fatalf("%s requests for %s, want %s", got, args[1], args[2])
		}
	case len(args) == 2 && args[0] == "silent":
		kms.BlackHole(args[1] == "on")
	case len(args) == 3 && args[0] == "move":
		kms.MoveAlias(args[1], kms.MakeKey(args[2], "").ARN)
	default:
		ts.Fatalf("usage: kms count OPERATION N | silent on|off | move ALIAS SPEC")
	}
}

// daemonCommand ends and starts the daemons.
func daemonCommand(ts *testscript.TestScript, pair *daemon.Pair, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: daemon start|stop|kill|restart hsmd|pkid")
	}
	type controlled interface {
		Start()
		Stop()
		Kill9()
		Restart()
	}
	var d controlled = pair.PKID
	if args[1] == "hsmd" {
		d = pair.HSMD
	}
	acts := map[string]func(){"start": d.Start, "stop": d.Stop, "kill": d.Kill9, "restart": d.Restart}
	act, ok := acts[args[0]]
	if !ok {
		ts.Fatalf("daemon: unknown act %q", args[0])
	}
	act()
}

// configCommand writes hsmd's file anew for its next start: the library, and
// the script's file with variables replaced.
func configCommand(ts *testscript.TestScript, t *testing.T, pair *daemon.Pair, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: config FILE")
	}
	blocks := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	pair.HSMD.Write(t, fmt.Sprintf("%s\n%s", daemon.Libraries(pair.Token.Store), blocks))
}
