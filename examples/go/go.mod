module github.com/canyonroad/libagentsh-ebpf/examples/go

go 1.23
