// Package config reads Berth's configuration file.
//
// It alone knows HCL. [Load] turns a file into a [Config] of plain Go values, or into
// [Diagnostics] that name each fault at once: file:line:column, the line itself, the
// limit, and the remedy.
//
// Two parts of a file can't be judged by it alone. A provider's config block, and the
// config blocks of the templates that use it, follow schemas that the provider's plugin
// tells; [Provider.Bind] decodes them once those are known, and [Provider.Explain] puts
// what the plugin finds back on the lines of the file. What depends on a session (a
// mount's source, env, command) is kept as an expression; [Template.Evaluate] computes
// it for one session.
//
// Everything that a Config holds is safe for concurrent readers.
package config
