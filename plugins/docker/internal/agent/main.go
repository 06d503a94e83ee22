// Command agent is what runs in the sandboxes of tests and of the demo: a small HTTP
// server that shows what it sees, and that can misbehave in the ways that real ones do.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", ":8000", "address to serve on")
	exit := flag.Int("exit", -1, "exit at once with this code")
	exitAfter := flag.Duration("exit-after", 0, "exit with code 0 after so long")
	never := flag.Bool("never-listen", false, "run without serving")
	eat := flag.Bool("eat-memory", false, "use up the memory that there is")
	stubborn := flag.Bool("ignore-sigterm", false, "do not end at SIGTERM")
	lines := flag.Int("print", 0, "print so many lines first, odd ones on stderr")
	flag.Parse()

	for i := range *lines {
		out := os.Stdout
		if i%2 == 1 {
			out = os.Stderr
		}
		fmt.Fprintf(out, "line %d\n", i)
	}
	if *exit >= 0 {
		os.Exit(*exit)
	}
	if *eat {
		eatMemory()
	}
	if *stubborn {
		signal.Ignore(syscall.SIGTERM)
	}
	if *exitAfter > 0 {
		time.AfterFunc(*exitAfter, func() { os.Exit(0) })
	}
	if *never {
		fmt.Println("never listening")
		wait := make(chan os.Signal, 1)
		signal.Notify(wait, syscall.SIGINT)
		<-wait
		return
	}
	fmt.Println("listening on", *listen)
	if err := http.ListenAndServe(*listen, routes()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// routes shows what the process sees.
func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "hello from agent %s\n", os.Getenv("AGENT_ID"))
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /env", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(os.Environ())
	})
	// Any file that it sees: /read/proc/self/status is what the kernel says of it.
	mux.HandleFunc("GET /read/{path...}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, func() ([]byte, error) { return os.ReadFile("/" + r.PathValue("path")) })
	})
	mux.HandleFunc("PUT /write/{path...}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, func() ([]byte, error) {
			return nil, os.WriteFile("/"+r.PathValue("path"), []byte(r.URL.Query().Get("text")), 0o644)
		})
	})
	return mux
}

func answer(w http.ResponseWriter, do func() ([]byte, error)) {
	b, err := do()
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	_, _ = w.Write(b)
}

// eatMemory touches memory until the kernel ends the process.
func eatMemory() {
	for held := [][]byte{}; ; {
		held = append(held, []byte(strings.Repeat("x", 1<<20)))
		if len(held)%16 == 0 {
			fmt.Println("holding", len(held), "MiB")
		}
	}
}
