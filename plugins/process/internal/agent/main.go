//go:build linux

// Command agent is what runs in the sandboxes of tests: a small HTTP server that shows what
// it sees, tries what it should not be able to, and misbehaves in the ways that real ones do.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	listen := flag.String("listen", ":8000", "address to serve on")
	exit := flag.Int("exit", -1, "exit at once with this code")
	exitAfter := flag.Duration("exit-after", 0, "exit with code 0 after so long")
	never := flag.Bool("never-listen", false, "run without serving")
	traceable := flag.Bool("traceable", false, "let everybody trace it who else may")
	eat := flag.Bool("eat-memory", false, "use up the memory that there is")
	stubborn := flag.Bool("ignore-sigterm", false, "do not end at SIGTERM")
	polite := flag.Int("exit-at-sigterm", -1, "exit with this code at SIGTERM")
	whoami := flag.Bool("whoami", false, "print the effective user id and exit")
	abort := flag.Bool("abort", false, "end by a signal that leaves a core")
	lines := flag.Int("print", 0, "print so many lines first, odd ones on stderr")
	flag.Parse()

	for i := range *lines {
		out := os.Stdout
		if i%2 == 1 {
			out = os.Stderr
		}
		fmt.Fprintf(out, "line %d\n", i)
	}
	if *whoami {
		fmt.Println(os.Geteuid())
		return
	}
	if *abort {
		debug.SetTraceback("crash")
		panic("abort")
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
	if *polite >= 0 {
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		go func() { <-term; fmt.Println("ending"); os.Exit(*polite) }()
	}
	if *exitAfter > 0 {
		time.AfterFunc(*exitAfter, func() { os.Exit(0) })
	}
	if *traceable {
		_ = unix.Prctl(unix.PR_SET_PTRACER, unix.PR_SET_PTRACER_ANY, 0, 0, 0) // an error where there is no Yama
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
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("GET /ate", func(w http.ResponseWriter, r *http.Request) {
		if !ate.Load() {
			http.NotFound(w, r)
		}
	})
	// What the probe finds: /probe/read?arg=/proc/self/status is what the kernel says of it.
	mux.HandleFunc("GET /probe/{name}", func(w http.ResponseWriter, r *http.Request) {
		probe := probes[r.PathValue("name")]
		if probe == nil {
			http.NotFound(w, r)
			return
		}
		text, err := probe(r.URL.Query()["arg"])
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		fmt.Fprint(w, text)
	})
	return mux
}

// ate is set when a probe could have all the memory that it wanted.
var ate atomic.Bool

// eatMemory touches memory until the kernel ends the process.
func eatMemory() {
	for held := [][]byte{}; ; {
		held = append(held, []byte(strings.Repeat("x", 1<<20)))
		if len(held)%16 == 0 {
			fmt.Println("holding", len(held), "MiB")
		}
	}
}
