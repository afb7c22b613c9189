# git, registries, TLS, name resolution: real clients against servers on this machine that refuse. Registries are the
# real docker-registry where a real one can refuse so.
serve() { # FILE-FOR-PORT [CERTIFICATE KEY]
  rm -f "$1"; python3 "$here/record/refusals.py" "$@" & services+=($!)
  until [[ -s $1 ]]; do :; done
}
certificate() { # NAME SUBJECT-ALTERNATIVE FROM TO, signed by our own authority
  [[ -f $root/ca.crt ]] || openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=Example Internal CA' -keyout "$root/ca.key" -out "$root/ca.crt" 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" -addext "subjectAltName=DNS:$2" -keyout "$root/$1.key" -out "$root/$1.csr" 2>/dev/null
  mkdir -p "$root/ca-$1"; : >"$root/ca-$1/index"; openssl rand -hex 8 >"$root/ca-$1/serial"
  printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index\nserial=%s/serial\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\ncopy_extensions=copy\n[p]\ncommonName=supplied\n' "$root/ca-$1" "$root/ca-$1" "$root/ca-$1" >"$root/ca-$1/config"
  openssl ca -batch -config "$root/ca-$1/config" -cert "$root/ca.crt" -keyfile "$root/ca.key" -startdate "$3" -enddate "$4" -in "$root/$1.csr" -out "$root/$1.crt" -notext 2>/dev/null
}
registry() { # PORT [AUTH]
  local config=$root/registry-$1.yml
  printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n' "$root/registry-$1" "$1" >"$config"
  [[ -n ${2:-} ]] && { htpasswd -Bbn builder right >"$root/htpasswd"; printf 'auth: {htpasswd: {realm: registry, path: %s}}\n' "$root/htpasswd" >>"$config"; }
  docker-registry serve "$config" >/dev/null 2>&1 & services+=($!)
  until curl -so /dev/null --max-time 2 "http://127.0.0.1:$1/v2/"; do :; done
}
git='git --version' curl='curl --version' buildah='buildah --version' pip='pip --version'
serve "$root/plain"; plain=http://localhost:$(<"$root/plain")
certificate expired localhost 20240101000000Z 20250101000000Z; serve "$root/expired" "$root/expired.crt" "$root/expired.key"; expired=https://localhost:$(<"$root/expired")
certificate early localhost 20990101000000Z 20991231000000Z; serve "$root/early" "$root/early.crt" "$root/early.key"; early=https://localhost:$(<"$root/early")
certificate valid localhost 20250101000000Z 20491231000000Z; serve "$root/valid" "$root/valid.crt" "$root/valid.key"; valid=https://localhost:$(<"$root/valid")
certificate other git.internal.example 20250101000000Z 20491231000000Z; serve "$root/other" "$root/other.crt" "$root/other.key"; other=https://localhost:$(<"$root/other")
export plain expired early valid other root
unset SSL_CERT_FILE SSL_CERT_DIR GIT_SSL_CAINFO CURL_CA_BUNDLE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS

alias=gitea.example
fresh
record git-no-credentials git "$git" <<<'git clone $plain/private/agent.git source'
record git-wrong-password git "$git" <<<'git clone ${plain/:\/\//://builder:wrong@}/private/agent.git source'
record git-repository-missing git "$git" <<<'git clone $plain/gone/agent.git source'
record git-server-error git "$git" <<<'git clone $plain/unavailable/agent.git source'
record git-host-unknown git "$git" <<<'git clone https://gitea.apps.cluster-x7k2p.invalid/user1/agent.git source'
record git-tls-unknown-ca git "$git" <<<'git clone $valid/user1/agent.git source'
record git-tls-expired git "$git" <<<'GIT_SSL_CAINFO=$root/ca.crt git clone $expired/user1/agent.git source'
record git-tls-name git "$git" <<<'GIT_SSL_CAINFO=$root/ca.crt git clone $other/user1/agent.git source'
record git-refused git "$git" <<<'git clone http://localhost:9/user1/agent.git source'
record git-reset git "$git" <<<'git clone $plain/reset/agent.git source'
git init -q --bare -b main upstream.git; git init -q -b main w; (cd w && git -c user.name=a -c user.email=a@b.example commit -q --allow-empty -m first && git push -q ../upstream.git main)
record git-branch-missing git "$git" <<<'git init -q source && cd source && git remote add origin ../upstream.git && git fetch --recurse-submodules=yes --depth=1 origin --update-head-ok --force broken'
record git-clone-branch-missing git "$git" <<<'git clone --branch broken --depth 1 upstream.git source2'
record git-checkout-missing git "$git" <<<'git clone -q upstream.git source3 && cd source3 && git checkout v2.0-rc1'
record git-commit-missing git "$git" <<<'git clone -q upstream.git source4 && cd source4 && git fetch origin 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b && git checkout 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b'

alias=registry.example:5000
record curl-tls-expired curl "$curl" <<<'curl -sSf --cacert $root/ca.crt $expired/artifacts/model.tar.gz -o model.tar.gz'
record curl-reset curl "$curl" <<<'curl -sSf $plain/reset/model.tar.gz -o model.tar.gz'
record curl-silent curl "$curl" <<<'curl -sSf --max-time 2 $plain/silent/model.tar.gz -o model.tar.gz'
record curl-cut curl "$curl" <<<'curl -sSf $plain/cut/model.tar.gz -o model.tar.gz'
record curl-server-error curl "$curl" <<<'curl -sSf $plain/unavailable/model.tar.gz -o model.tar.gz'
record go-tls-expired go 'go version' <<<'printf "module m\n\ngo 1.24\n" >go.mod; printf "package main\n\nimport (\n\t\"log\"\n\t\"net/http\"\n\t\"os\"\n)\n\nfunc main() {\n\tif _, err := http.Get(os.Args[1]); err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n" >main.go; SSL_CERT_FILE=$root/ca.crt go run . $expired/api/v1/version'
record go-tls-early go 'go version' <<<'SSL_CERT_FILE=$root/ca.crt go run . $early/api/v1/version'
record go-tls-unknown-ca go 'go version' <<<'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt go run . $valid/api/v1/version'
record go-tls-name go 'go version' <<<'SSL_CERT_FILE=$root/ca.crt go run . $other/api/v1/version'
record node-tls-unknown-ca node 'node --version' <<<'node -e "require(\"https\").get(process.argv[1], () => {})" $valid/api'
/usr/bin/python3 -m venv "$root/net" && "$root/net/bin/pip" -q install requests==2.32.3; export PATH=$root/net/bin:$PATH
record pip-tls-unknown-ca pip "$pip" <<<'pip install --retries 1 --index-url $valid/simple fastapi'
record pip-host-unknown pip "$pip" <<<'pip install --retries 2 --index-url https://packages.corp.invalid/simple fastapi'
record python-tls-unknown-ca python 'python --version' <<<'python -c "import requests, sys; requests.get(sys.argv[1])" $valid/api/v1/version'

if base 2>/dev/null; then
  registry 5011; registry 5012 auth
  small() { printf 'FROM %s\nLABEL a=b\n' "$1" >Containerfile; }
  buildah push -q --tls-verify=false quay.io/example/base:1 docker://localhost:5011/example/base:1 2>/dev/null
  small localhost:5011/example/base:3.99
  record base-tag-missing buildah "$buildah" <<<'buildah bud --isolation chroot --tls-verify=false -t quay.io/example/agent:1 .'
  small localhost:5011/example/nothing:1
  record base-image-missing buildah "$buildah" <<<'buildah bud --isolation chroot --tls-verify=false -t quay.io/example/agent:1 .'
  small "localhost:$(<"$root/plain")/limited/python:3.12"
  record pull-rate-limit buildah "$buildah" <<<'buildah bud --isolation chroot --tls-verify=false -t quay.io/example/agent:1 .'
  small quay.io/example/base:1
  record push-unauthorised buildah "$buildah" <<<'buildah bud --isolation chroot --pull=never -t localhost:5012/team/agent:1 . && buildah push --tls-verify=false localhost:5012/team/agent:1'
  record push-wrong-password buildah "$buildah" <<<'buildah push --tls-verify=false --creds builder:wrong localhost:5012/team/agent:1'
  record registry-http buildah "$buildah" <<<'buildah pull docker://localhost:5011/example/base:1'
  record registry-tls-unknown-ca buildah "$buildah" <<<'buildah pull docker://localhost:$(<$root/valid)/team/base:1'
  record registry-refused buildah "$buildah" <<<'buildah pull --tls-verify=false docker://localhost:9/team/base:1'
  (GOARCH=arm64; buildah manifest create localhost/multi:1 >/dev/null 2>&1; c=$(buildah from --arch arm64 scratch); buildah config --arch arm64 --os linux "$c"; i=$(buildah commit -q "$c" localhost/arm:1); buildah manifest add localhost/multi:1 "$i" >/dev/null; buildah manifest push --all --tls-verify=false localhost/multi:1 docker://localhost:5011/example/multi:1 >/dev/null 2>&1)
  small localhost:5011/example/multi:1
  record base-other-architecture buildah "$buildah" <<<'buildah pull --tls-verify=false --policy always docker://localhost:5011/example/multi:1'
fi
