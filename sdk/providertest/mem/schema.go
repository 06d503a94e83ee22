package mem

import "github.com/berth-dev/berth/sdk/provider"

func schemas() provider.Schemas {
	return provider.Schemas{Provider: providerSchema(), Sandbox: sandboxSchema()}
}

func providerSchema() provider.Schema {
	return provider.Schema{
		Doc: "A provider that runs nothing, for tests.",
		Attributes: []provider.Attribute{
			{Name: "identity", Type: provider.TypeString, Doc: "Which backend it says it is."},
			{Name: "state_file", Type: provider.TypeString, Doc: "Where the sandboxes are kept across restarts; empty: in memory."},
			{Name: "away", Type: provider.TypeBool, Doc: "The backend does not answer."},
			{Name: "ip", Type: provider.TypeString, Doc: "The address of every endpoint.", Default: []byte(`"127.0.0.1"`)},
			{Name: "port", Type: provider.TypeInt, Doc: "The port of every endpoint; 0: the template's.", Min: new(0.0), Max: new(65535.0)},
			{Name: "user", Type: provider.TypeString, Doc: "The user of every image; empty: the plugin's own.", Pattern: `^([0-9]+:[0-9]+)?$`},
			{Name: "reject", Type: provider.TypeString, Doc: "Validation refuses the configuration with these words."},
			{Name: "unable", Type: provider.TypeBool, Doc: "It says that it can do nothing beyond the core verbs."},
			{Name: "ignore_sigterm", Type: provider.TypeBool, Doc: "The plugin's process does not hear SIGTERM."},
			{Name: "hold_stderr", Type: provider.TypeDuration, Doc: "A child of the plugin keeps its standard error open so long."},
			{Name: "log_lines", Type: provider.TypeInt, Doc: "So many lines are logged when it is configured.", Min: new(0.0)},
		},
		Blocks: []provider.Block{{
			Name: "fault", Repeated: true, Doc: "What is wrong with the calls of a verb.",
			Schema: provider.Schema{Attributes: []provider.Attribute{
				{Name: "verb", Type: provider.TypeString, Required: true, OneOf: verbs, Doc: "The verb."},
				{Name: "times", Type: provider.TypeInt, Min: new(0.0), Doc: "For so many calls; 0: for all."},
				{Name: "after", Type: provider.TypeBool, Doc: "The call has its effect first."},
				{Name: "delay", Type: provider.TypeDuration, Min: new(0.0), Doc: "It waits so long."},
				{Name: "hang", Type: provider.TypeBool, Doc: "It waits until the caller leaves."},
				{Name: "error", Type: provider.TypeString, OneOf: classes(), Doc: "It fails with this class of error; empty: it does not fail."},
				{Name: "message", Type: provider.TypeString, Doc: "The words of that error."},
				{Name: "panic", Type: provider.TypeString, Doc: "It panics with these words."},
				{Name: "lie", Type: provider.TypeString, OneOf: lieNames(), Doc: "What is untrue in its answer; empty: nothing."},
				{Name: "outcome", Type: provider.TypeString, Doc: "It answers with this outcome; empty: the true one."},
				{Name: "backend", Type: provider.TypeString, Doc: "It says that the backend is this one; empty: the true one."},
				{Name: "exit", Type: provider.TypeInt, Min: new(0.0), Max: new(255.0), Doc: "It ends the plugin's process with this code; 0: it does not."},
			}},
		}},
	}
}

func sandboxSchema() provider.Schema {
	return provider.Schema{
		Doc: "A sandbox that runs nothing, for tests.",
		Attributes: []provider.Attribute{
			{Name: "create_delay", Type: provider.TypeDuration, Min: new(0.0), Doc: "Create waits so long."},
			{Name: "create_error", Type: provider.TypeString, OneOf: classes(), Doc: "Create fails with this class of error; empty: it does not fail."},
			{Name: "exit_after", Type: provider.TypeDuration, Min: new(0.0), Doc: "The sandbox ends by itself; 0: it does not."},
			{Name: "exit_code", Type: provider.TypeInt, Doc: "With this code."},
			{Name: "port", Type: provider.TypeInt, Min: new(0.0), Max: new(65535.0), Doc: "The port of the endpoint; 0: the provider's, or the template's."},
			{Name: "log", Type: provider.TypeStringList, Doc: "Lines that the sandbox prints when it starts."},
			{Name: "reject", Type: provider.TypeString, Doc: "Validation refuses the template with these words."},
			{Name: "stubborn", Type: provider.TypeBool, Doc: "The sandbox does not heed the polite signal: a stop takes its whole grace."},
		},
	}
}

func classes() []string {
	all := []string{""}
	for _, c := range provider.Classes() {
		all = append(all, string(c))
	}
	return all
}
