package schemadoc_test

import (
	"fmt"
	"os"
	"time"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/schemadoc"
)

type config struct {
	Dir   string        `berth:"dir,required" doc:"Where sandboxes live."`
	Token string        `berth:"token,optional,sensitive" doc:"For the backend."`
	Wait  time.Duration `berth:"wait,optional" default:"5s" max:"1m" doc:"For the backend."`
}

type sandbox struct {
	Level string `berth:"level,optional" default:"low" oneof:"low,high" doc:"How much is kept apart."`
}

// What "berth providers docs" prints, for the README of a provider.
func ExampleMarkdown() {
	schemas := provider.Schemas{Provider: sdk.SchemaOf[config](), Sandbox: sdk.SchemaOf[sandbox]()}
	if err := schemadoc.Markdown(os.Stdout, "mine", schemas); err != nil {
		fmt.Println(err)
	}
	// Output:
	// ### `provider "mine" { config { … } }`
	//
	// | setting | type | default | what it is |
	// | --- | --- | --- | --- |
	// | `dir` | string | required | Where sandboxes live. |
	// | `token` | string |  | For the backend. It is a secret: it is never shown. |
	// | `wait` | duration | `"5s"` | For the backend. At most 1m0s. |
	//
	// ### `template { config { … } }`
	//
	// | setting | type | default | what it is |
	// | --- | --- | --- | --- |
	// | `level` | string | `"low"` | How much is kept apart. One of `"low"`, `"high"`. |
}

// What "describe" of a plugin's binary prints of one schema.
func ExampleText() {
	if err := schemadoc.Text(os.Stdout, "  ", sdk.SchemaOf[sandbox]()); err != nil {
		fmt.Println(err)
	}
	// Output:
	//   level  string, default "low"
	//       How much is kept apart. One of "low", "high".
}
