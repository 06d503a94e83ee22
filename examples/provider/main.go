// Command berth-provider-example runs sandboxes as plain processes: a whole provider for
// Berth, to copy and to make one's own.
//
// A template's image is a program, by its absolute path, and its command are the program's
// arguments. A template with a port gets an endpoint: the program is given an open listener
// as descriptor 3, by the convention of sd_listen_fds(3). The program runs in a session of
// its own, so it outlives the plugin and the host. It is not isolated in any way: the
// operator must say that this is meant.
package main

import (
	"context"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/conformance"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/suite"
	"github.com/berth-dev/berth/sdk/records"
)

// Config is provider "example" { config { … } }.
type Config struct {
	Dir        string `berth:"dir,required" doc:"Where the sandboxes' records and logs are: an absolute path."`
	Unconfined bool   `berth:"unconfined,required" doc:"Must be true: sandboxes are plain processes of the plugin's user, without isolation and without limits."`
}

// Sandbox is template { config { … } }.
type Sandbox struct {
	Directory string `berth:"directory,optional" pattern:"^(/.*)?$" doc:"Where the program runs. Default: a directory of the sandbox's own."`
}

var version = "0.1.0" // make release sets it

func main() { sdk.Serve(Plugin(), conformance.Verb(suite.Options{Generations: 50})) }

// Plugin is the provider, to be served, or linked into a host.
func Plugin() provider.Plugin {
	return sdk.Define(sdk.Definition[Config, Sandbox]{
		Name: "example", Version: version, Doc: "Sandboxes as plain processes.",
		Validate: validate,
		Open: func(_ context.Context, _ sdk.Env, c Config) (provider.Provider, error) {
			return records.Open(c.Dir, runtime{}, options)
		},
	})
}

var options = records.Options{Version: "plain processes", Limitations: []provider.Limitation{
	{Name: "isolation", Reason: "sandboxes are plain processes of the plugin's user"},
	{Name: "resources", Reason: "memory, cpus and pids are not limited"},
}}

// validate judges what the schemas can't.
func validate(_ context.Context, c Config, templates map[string]sdk.TemplateOf[Sandbox]) (found provider.Diagnostics) {
	if !c.Unconfined {
		found = append(found, provider.Diagnostic{Severity: provider.SeverityError, Path: []string{"unconfined"},
			Summary: "unconfined is false", Detail: "Sandboxes of this provider are not isolated: write unconfined = true, or use another."})
	}
	for name, t := range templates {
		found = append(found, options.Judge(name, t.TemplateInfo)...)
	}
	return found
}
