# The Go toolchain.
go='go version'
module() { fresh; printf 'module example.com/svc\n\ngo %s\n' "${1:-1.24}" >go.mod; }
export GOFLAGS='-buildvcs=false -mod=mod' GOTOOLCHAIN=local

module; { printf 'package main\n\nfunc main() {\n'; for i in $(seq 200); do printf '\tprintln(total%d)\n' "$i"; done; printf '}\n'; } >main.go
record go-compile go "$go" <<<'go build -gcflags=-e ./...'
module; printf 'package main\n\nimport "fmt"\n\nfunc main() {\n\tvar n int = "one"\n}\n' >main.go
record go-compile-types go "$go" <<<'go build ./...'
module; printf 'package main\n\nfunc main() {\n\tprintln("a"\n}\n' >main.go
record go-syntax go "$go" <<<'go vet ./...'
module; printf 'package main\n\nimport "example.com/missing/client"\n\nfunc main() { client.Run() }\n' >main.go
record go-module-missing go "$go" <<<'GOFLAGS=-mod=readonly go build ./...'
module; printf 'package main\n\nimport "svc/internal/price"\n\nfunc main() { price.Run() }\n' >main.go
record go-not-in-std go "$go" <<<'go build ./...'
module; printf 'require rsc.io/quote v1.5.2\n' >>go.mod; printf 'package main\n\nimport "rsc.io/quote"\n\nfunc main() { println(quote.Hello()) }\n' >main.go
record go-sum-missing go "$go" <<<'GOFLAGS=-mod=readonly go build ./...'
module; printf 'require rsc.io/quote v1.5.2\n' >>go.mod; printf 'rsc.io/quote v1.5.2 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n' >go.sum; printf 'package main\n\nimport "rsc.io/quote"\n\nfunc main() { println(quote.Hello()) }\n' >main.go
record go-checksum go "$go" <<<'GOFLAGS=-mod=mod GOMODCACHE=$PWD/../modules go build ./...; code=$?; chmod -R u+w ../modules; exit $code'
module 1.99; printf 'package main\n\nfunc main() {}\n' >main.go
record go-version go "$go" <<<'go build ./...'
module; printf 'package price\n\nfunc Gross(net float64) float64 { return net * 1.2 }\n' >price.go
printf 'package price\n\nimport "testing"\n\nfunc TestGross(t *testing.T) {\n\tif got := Gross(100); got != 119 {\n\t\tt.Errorf("Gross(100) = %%v, want 119", got)\n\t}\n}\n\nfunc TestZero(t *testing.T) {}\n' >price_test.go
record go-test go "$go" <<<'go test ./...'
module; printf 'package main\n\nfunc main() {\n\tvar m map[string]int\n\tm["a"] = 1\n}\n' >main.go
record go-panic go "$go" <<<'go run .'
