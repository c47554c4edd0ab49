// Peer `go_net_http`: the step that partners' ingest replaces, as it is usually written.
//
// One event in each POST becomes a line of JSON, goes into a buffered channel, and is answered there and then. One
// goroutine takes lines out of the channel and writes them to a file through a buffer, which it flushes once a second.
// Nothing is durable: what is in the channel or in the buffer is lost when the process ends, and acknowledged all the same.
// There is no signature, no limit of a partner's own, and no look for duplicates. README.md says why it is like this.
//
// Usage: go_ingest ADDRESS FILE
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

const (
	// Lines that may wait for the file. Beyond it the partner is told to come again.
	queued = 65536
	// Bytes of one body. Beyond it 413.
	bodyMax = 1 << 20
	// Bytes that are collected before they are written, if a second is not over before.
	buffered   = 1 << 20
	flushEvery = time.Second
)

// A line of the file.
type line struct {
	Partner    string          `json:"partner"`
	ReceivedAt int64           `json:"received_at"`
	Event      json.RawMessage `json:"event"`
}

var accepted = []byte(`{"code":2020000,"message":"accepted","data":{"accepted":1,"duplicates":0,"refused":[]}}`)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: go_ingest ADDRESS FILE")
	}
	file, err := os.OpenFile(os.Args[2], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	lines := make(chan []byte, queued)
	go write(file, lines)
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) { take(w, r, lines) })
	server := &http.Server{Addr: os.Args[1], Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// Answers as soon as the line is queued.
func take(w http.ResponseWriter, r *http.Request, lines chan<- []byte) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		} else {
			http.Error(w, "not read", http.StatusBadRequest)
		}
		return
	}
	// Marshalling a raw message compacts and checks it: an event that is no JSON is an error here.
	body = bytes.TrimSpace(body)
	text, err := json.Marshal(line{"bench", time.Now().UnixMilli(), body})
	if err != nil || !bytes.HasPrefix(body, []byte("{")) {
		http.Error(w, "not a JSON object", http.StatusBadRequest)
		return
	}
	select {
	case lines <- append(text, '\n'):
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		w.Write(accepted)
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "busy", http.StatusServiceUnavailable)
	}
}

// Writes what was queued. A file that can't be written ends the process: better than answering for nothing.
func write(file *os.File, lines <-chan []byte) {
	out := bufio.NewWriterSize(file, buffered)
	tick := time.NewTicker(flushEvery)
	for {
		var err error
		select {
		case text := <-lines:
			_, err = out.Write(text)
		case <-tick.C:
			err = out.Flush()
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}
