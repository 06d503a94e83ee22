package suite

import "fmt"

var leftChecks = []check{
	{name: "nothing is left",
		promise: "when all sandboxes of an owner were deleted nothing of its own is left at the backend", run: checkLeft},
}

func checkLeft(e *env) {
	all, summary := e.host().sandboxes()
	if found := owned(all, e.owner); len(found) != 0 {
		e.broken("deleted all sandboxes of this run, and listed", idsText(found), "none of this owner")
	}
	for _, u := range summary.Unreadable {
		if u.Owner == e.owner {
			e.broken("deleted all sandboxes of this run, and listed", fmt.Sprintf("one that can't be read: %+v", u), "none of this owner")
		}
	}
	if e.opts.Residue == nil {
		e.session.skip(e.check.name+" (past the provider)", "Options.Residue is nil: nobody looks past the provider")
		return
	}
	e.nothingBeside("ended all checks of this run")
}
