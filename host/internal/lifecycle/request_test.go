package lifecycle_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// Each bad input is refused by name, with the limit and the remedy, and makes nothing.
func TestCreateRefusesBadInput(t *testing.T) {
	const uuid = ` is not a UUID; give one such as 1b4e28ba-2fa1-41d2-883f-0016d3cca427`
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprint(i)] = ""
	}
	for name, c := range map[string]struct {
		change func(*lifecycle.CreateRequest)
		want   string
	}{
		"chat empty":       {func(r *lifecycle.CreateRequest) { r.ChatID = "" }, `create: chat_id: is empty; give a UUID`},
		"chat":             {func(r *lifecycle.CreateRequest) { r.ChatID = "../../etc" }, `create: chat_id: "../../etc"` + uuid},
		"chat wrapped":     {func(r *lifecycle.CreateRequest) { r.ChatID = "\n" + chat + "\n" }, `create: chat_id: "\n` + chat + `\n"` + uuid},
		"session wrapped":  {func(r *lifecycle.CreateRequest) { r.SessionID = "X" + id1 + "Y" }, `create: session_id: "X` + id1 + `Y"` + uuid},
		"chat long":        {func(r *lifecycle.CreateRequest) { r.ChatID = strings.Repeat("a", 100) }, `create: chat_id: "` + strings.Repeat("a", 64) + `…"` + uuid},
		"session":          {func(r *lifecycle.CreateRequest) { r.SessionID = "7" }, `create: session_id: "7"` + uuid},
		"agent control":    {func(r *lifecycle.CreateRequest) { r.AgentID = "a\nb" }, `create: agent_id: "a\nb" has control characters; leave them out`},
		"agent long":       {func(r *lifecycle.CreateRequest) { r.AgentID = strings.Repeat("a", 257) }, `create: agent_id: 257 bytes are over the limit of 256`},
		"agent UTF-8":      {func(r *lifecycle.CreateRequest) { r.AgentID = "a\xff" }, `create: agent_id: "a\xff" is not UTF-8`},
		"volume control":   {func(r *lifecycle.CreateRequest) { r.Volume = "/a\x00" }, `create: volume: "/a\x00" has control characters; leave them out`},
		"volume long":      {func(r *lifecycle.CreateRequest) { r.Volume = strings.Repeat("a", 4097) }, `create: volume: 4097 bytes are over the limit of 4096`},
		"template":         {func(r *lifecycle.CreateRequest) { r.Template = "" }, `create: template: is empty; give the name of a template of the configuration`},
		"ttl negative":     {func(r *lifecycle.CreateRequest) { r.TTL = -time.Second }, `create: ttl: -1s is not positive; give more than 0, at most max_ttl 24h0m0s`},
		"ttl short":        {func(r *lifecycle.CreateRequest) { r.TTL = time.Microsecond }, `create: ttl: 1µs is too short; give at least 1ms, at most max_ttl 24h0m0s`},
		"ttl long":         {func(r *lifecycle.CreateRequest) { r.TTL = 24*time.Hour + 1 }, `create: ttl: 24h0m0.000000001s is over max_ttl 24h0m0s; ask for less and extend while it is used`},
		"metadata many":    {func(r *lifecycle.CreateRequest) { r.Metadata = many }, `create: metadata: 65 items are over the limit of 64`},
		"metadata key":     {func(r *lifecycle.CreateRequest) { r.Metadata = map[string]string{"": "x"} }, `create: metadata: a key is empty; give each item a name`},
		"metadata control": {func(r *lifecycle.CreateRequest) { r.Metadata = map[string]string{"\t": "x"} }, `create: metadata: key "\t": "\t" has control characters; leave them out`},
		"metadata UTF-8":   {func(r *lifecycle.CreateRequest) { r.Metadata = map[string]string{"k": "\xff"} }, `create: metadata: the value of "k" is not UTF-8`},
		"metadata long":    {func(r *lifecycle.CreateRequest) { r.Metadata = map[string]string{"k": strings.Repeat("x", 16<<10)} }, `create: metadata: 16385 bytes are over the limit of 16384`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				req := request(id1)
				c.change(&req)
				_, err := w.engine.Create(t.Context(), req)
				e := failed(t, err, lifecycle.CodeInvalidArgument)
				if err.Error() != c.want {
					t.Errorf("got  %s\nwant %s", err, c.want)
				}
				if !strings.HasPrefix(name, "chat") && e.ChatID != chat && !strings.HasPrefix(name, "session") {
					t.Errorf("chat id %q", e.ChatID)
				}
				w.calls(mem.Prepare, 0)
				if all, _ := w.engine.List(lifecycle.Filter{All: true}); len(all) != 0 {
					t.Errorf("it made %+v", all)
				}
			})
		})
	}
}

// What makes two requests the same: everything that was asked, but for the metadata.
func TestSameRequest(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		for name, c := range map[string]struct {
			change func(*lifecycle.CreateRequest)
			same   bool
		}{
			"same":     {func(*lifecycle.CreateRequest) {}, true},
			"spelling": {func(r *lifecycle.CreateRequest) { r.ChatID = strings.ReplaceAll(strings.ToUpper(chat), "-", "") }, true},
			"metadata": {func(r *lifecycle.CreateRequest) { r.Metadata = map[string]string{"a": "b"} }, true},
			"chat":     {func(r *lifecycle.CreateRequest) { r.ChatID = id2 }, false},
			"agent":    {func(r *lifecycle.CreateRequest) { r.AgentID = "" }, false},
			"volume":   {func(r *lifecycle.CreateRequest) { r.Volume = "/v" }, false},
			"template": {func(r *lifecycle.CreateRequest) { r.Template = "other" }, false},
			"ttl":      {func(r *lifecycle.CreateRequest) { r.TTL = 5 * time.Minute }, false},
		} {
			req := request(id1)
			c.change(&req)
			s, err := w.engine.Create(t.Context(), req)
			switch {
			case c.same && (err != nil || s.ID != id1):
				t.Errorf("%s: %v", name, err)
			case !c.same:
				failed(t, err, lifecycle.CodeConflict, "was made by another request")
			}
		}
		w.calls(mem.Create, 1)
	})
}
