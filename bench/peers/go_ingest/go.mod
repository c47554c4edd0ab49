module playgate.example/bench/go_ingest

go 1.19
