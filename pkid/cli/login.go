package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/hsmpki/hsmpki/pkid/client"
)

// methods are the ways to log in. But for token, all of them are a write to
// their mount's login.
var methods = []string{"token", "approle", "jwt", "cert", "kubernetes"}

func loginCommand() *cli.Command {
	return &cli.Command{
		Name: "login", Usage: "log in, and keep the token for the commands that follow", ArgsUsage: "[TOKEN | KEY=VALUE...]",
		Description: `   pkid login                                     asks for a token
   pkid login - < token.txt
   pkid login -method=approle role_id=... secret_id=@secret-id.txt
   pkid login -method=jwt -path=jwt-nomad role=web jwt=@token.jwt
   pkid login -method=cert -client-cert=me.pem -client-key=me.key name=web

   The token is kept in ~/.pkid-token.`,
		Flags: flags(formatFlag(), fieldFlag(),
			&cli.StringFlag{Name: "method", Value: "token", Usage: strings.Join(methods, ", ")},
			&cli.StringFlag{Name: "path", Usage: "where the method is mounted (at its own name by default)"},
			&cli.BoolFlag{Name: "no-store", Usage: "do not keep the token"},
			&cli.BoolFlag{Name: "no-print", Usage: "print nothing but errors"},
			&cli.BoolFlag{Name: "token-only", Usage: "print the token alone and do not keep it"}),
		Action: runLogin,
	}
}

func runLogin(c *cli.Context) error {
	s, err := open(c)
	if err != nil {
		return err
	}
	method := c.String("method")
	if !slices.Contains(methods, method) {
		return fail("-method=%s: is none of %s", method, strings.Join(methods, ", "))
	}
	tokenOnly := c.Bool("token-only")
	if tokenOnly && (s.field != "" || c.Bool("no-print")) {
		return fail("-token-only cannot be used with -field or -no-print")
	}
	var secret *client.Secret
	if method == "token" {
		secret, err = s.loginByToken(c)
	} else {
		secret, err = s.loginBy(c, method)
	}
	if err != nil {
		return err
	}
	store := !c.Bool("no-store") && !tokenOnly
	if store {
		home, _ := os.UserHomeDir()
		if err := client.StoreToken(home, secret.Auth.ClientToken); err != nil {
			return fail("%v", err)
		}
		s.warnOfEnvironment()
	}
	switch {
	case c.Bool("no-print"):
		return nil
	case tokenOnly:
		return s.showField(secret.Auth.ClientToken)
	case s.field == "" && s.format == "table":
		fmt.Fprintln(s.out, greeting(store))
	}
	return s.show(secret)
}

func greeting(stored bool) string {
	if !stored {
		return "Success! You are now authenticated. The token was not stored: set PKID_TOKEN\n" +
			"to the token below for the commands that shall use it.\n"
	}
	return "Success! You are now authenticated. The token information displayed below\n" +
		"is already stored in ~/.pkid-token, and the commands that follow use it.\n"
}

// warnOfEnvironment says that the commands that follow will not use the token.
func (s *session) warnOfEnvironment() {
	for _, name := range []string{"PKID_TOKEN", "VAULT_TOKEN"} {
		if os.Getenv(name) != "" {
			fmt.Fprintf(s.errOut, "WARNING! The %s environment variable is set! Its value takes precedence over "+
				"the stored token; unset it if that is unwanted.\n", name)
			return
		}
	}
}

// loginBy writes to the method's login, as nobody.
func (s *session) loginBy(c *cli.Context, method string) (*client.Secret, error) {
	path, err := cleanPath(firstOf(c.String("path"), method))
	if err != nil {
		return nil, err
	}
	data, err := parseData(c.Args().Slice(), c.App.Reader)
	if err != nil {
		return nil, fail("%v", err)
	}
	s.Client = s.WithToken("")
	secret, err := s.ask(&client.Request{Method: http.MethodPut, Path: "auth/" + strings.TrimPrefix(path, "auth/") + "/login", Body: data})
	if err != nil {
		return nil, explain("Error authenticating", err)
	}
	if secret.Auth == nil || secret.Auth.ClientToken == "" {
		return nil, fail("Error authenticating: the answer has no token")
	}
	return secret, nil
}

// loginByToken looks the token up, so that none is kept that is none.
func (s *session) loginByToken(c *cli.Context) (*client.Secret, error) {
	if c.String("path") != "" && strings.Trim(c.String("path"), "/") != "token" {
		return nil, fail("-path has no meaning for -method=token")
	}
	token, err := s.tokenToStore(c)
	if err != nil {
		return nil, err
	}
	s.Client = s.WithToken(token)
	found, err := s.get("auth/token/lookup-self", nil)
	if err != nil {
		return nil, explain("Error authenticating: error looking up token", err)
	}
	if found.Data == nil {
		return nil, fail("Error authenticating: the answer tells of no token")
	}
	auth := &client.Auth{
		ClientToken: token, Accessor: text(found.Data["accessor"]), LeaseDuration: number(found.Data["ttl"]), Renewable: found.Data["renewable"] == true,
		TokenPolicies: names(found.Data["policies"]), Policies: names(found.Data["policies"]),
	}
	found.Auth, found.Bare["auth"], found.Bare["data"] = auth, auth, nil // as every other login is answered
	return found, nil
}

// tokenToStore is the argument, or what is typed or piped.
func (s *session) tokenToStore(c *cli.Context) (string, error) {
	arg := c.Args().First()
	switch {
	case c.NArg() > 1:
		return "", fail("Too many arguments (expected 0 or 1, got %d)", c.NArg())
	case strings.HasPrefix(arg, "token="): // as Vault takes it, and so @file and - too
		data, err := parseData([]string{arg}, c.App.Reader)
		if err != nil {
			return "", fail("%v", err)
		}
		arg = text(data["token"])
	case arg == "" || arg == "-":
		var err error
		if arg, err = s.typed("Token (will be hidden): ", c.App.Reader, arg == ""); err != nil {
			return "", fail("reading the token: %v", err)
		}
	}
	if arg = strings.TrimSpace(arg); arg == "" {
		return "", fail("a token is needed to log in; none was given")
	}
	return arg, nil
}

// typed reads a line, from a terminal without showing it.
func (s *session) typed(prompt string, in io.Reader, ask bool) (string, error) {
	if f, ok := in.(*os.File); ok && ask && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(s.errOut, prompt)
		line, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(s.errOut)
		return string(line), err
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return line, err
}
