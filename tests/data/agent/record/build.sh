# Containerfile builds with buildah (vfs, chroot isolation).
# The Python of the image: a virtual environment with pytest.
python_root() {
  [[ -d $root/app-root ]] || { /usr/bin/python3 -m venv "$root/app-root" && "$root/app-root/bin/pip" -q install pytest==8.3.4 requests==2.32.3 &&
    sed -i '1s|^#!.*|#!/opt/app-root/bin/python3|' "$root"/app-root/bin/{pip,pytest}; }
  export mounts="-v $root/app-root:/opt/app-root"
}
agent_source() {
  fresh
  mkdir -p agent/tests
  cat >agent/Containerfile <<'F'
FROM quay.io/example/base:1
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
RUN python -m pytest -q
CMD ["python", "main.py"]
F
  printf 'requests==2.32.3\n' >agent/requirements.txt
  cat >agent/main.py <<'F'
def price(net, rate=0.19):
    return round(net * (1 + rate), 2)
F
  printf 'from main import price\n\n\ndef test_price():\n    assert price(100) == 119.0\n' >agent/tests/test_price.py
  printf '[pytest]\npythonpath = .\n' >agent/pytest.ini
}
version='buildah --version'

if base; then
  agent_source; rm agent/requirements.txt
  record copy-missing buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; rm agent/requirements.txt; sed -i 's/^COPY requirements.txt ./COPY requirements.txt constraints.txt .\//' agent/Containerfile
  record copy-missing-two buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; rm -r agent/tests; sed -i 's/^COPY \. \./COPY tests\/ .\/tests\//' agent/Containerfile; printf '*.pyc\n' >agent/.dockerignore
  python_root
  record copy-directory-missing buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; sed -i 's/^RUN pip/RUNN pip/' agent/Containerfile
  record containerfile-unknown-instruction buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; sed -i '1s/.*/FORM quay.io\/example\/base:1/' agent/Containerfile
  record containerfile-form buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; sed -i 's/^COPY requirements.txt ./COPY requirements.txt/' agent/Containerfile
  record containerfile-copy-arguments buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; sed -i 's/^COPY requirements.txt ./COPY --from=builder requirements.txt ./' agent/Containerfile
  record build-stage-unknown buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source
  record containerfile-missing buildah "$version" <<<'build -f ./agents/Containerfile -t quay.io/example/agent:1 agents'
  record containerfile-missing-name buildah "$version" <<<'build -f agent/Dockerfile -t quay.io/example/agent:1 agent'

  agent_source; python_root; printf 'requests==2.32.3\nfastapii==0.110.0\n' >agent/requirements.txt
  record pip-unknown-package buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; python_root; printf 'requests==2.99.1\n' >agent/requirements.txt
  record pip-unknown-version buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; python_root; printf 'requests==2.32.3\nurllib3==1.20\n' >agent/requirements.txt
  record pip-conflict buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; mounts=
  record pip-externally-managed buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; python_root; printf 'import litellm\n\n\ndef ask(text):\n    return litellm.completion(model="m", messages=[text])\n' >agent/client.py
  printf 'from client import ask\n\n\ndef test_ask():\n    assert ask("x")\n' >agent/tests/test_client.py
  record pytest-module-missing buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; python_root; sed -i 's/0\.19/0.20/' agent/main.py
  for i in $(seq 40); do printf 'def test_sum_%d():\n    assert %d + 1 == %d\n' "$i" "$i" $((i + 1)); done >agent/tests/test_sums.py
  record pytest-failure buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; python_root; printf 'def price(net, rate=0.19)\n    return net\n' >agent/main.py
  record python-syntax buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; python_root; sed -i 's/^RUN python -m pytest -q/RUN pyhton -m pytest -q/' agent/Containerfile
  record run-command-missing buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; sed -i '3,4d' agent/Containerfile; sed -i 's/^RUN .*/RUN dd if=\/dev\/zero of=\/var\/cache\/model.bin bs=64k/' agent/Containerfile
  mkdir -p "$root/small"; mount -t tmpfs -o size=2m none "$root/small" && export mounts="-v $root/small:/var/cache"
  record no-space buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'
  umount "$root/small"; mounts=

  fresh; mkdir app; printf 'package main\n\nfunc main() {}\n' >app/main.go; (cd app && GOOS=linux GOARCH=arm64 go build -o tool main.go)
  printf 'FROM quay.io/example/base:1\nCOPY tool /usr/local/bin/tool\nRUN ["/opt/tool"]\n' >app/Containerfile
  sed -i 's#/usr/local/bin/tool#/opt/tool#' app/Containerfile
  record exec-format buildah "$version" <<<'build -f app/Containerfile -t quay.io/example/app:1 app'

  agent_source; sed -i '3,6d' agent/Containerfile; printf 'RUN ["serve-model", "--check"]\n' >>agent/Containerfile
  record executable-missing buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  agent_source; sed -i '3,6d' agent/Containerfile; printf 'COPY entry.sh /opt/entry.sh\nRUN chmod +x /opt/entry.sh && /opt/entry.sh\n' >>agent/Containerfile
  printf '#!/bin/bash\r\necho start\r\n' >agent/entry.sh
  record script-crlf buildah "$version" <<<'build -f agent/Containerfile -t quay.io/example/agent:1 agent'

  fresh; mkdir svc; (cd svc && printf 'module example.com/svc\n\ngo 1.24\n' >go.mod
    { printf 'package main\n\nfunc main() {\n'; for i in $(seq 60); do printf '\tprintln(total%d)\n' "$i"; done; printf '}\n'; } >main.go)
  printf 'FROM quay.io/example/base:1\nWORKDIR /src\nCOPY . .\nRUN HOME=/tmp go build -o /opt/svc ./...\n' >svc/Containerfile
  export mounts='-v /usr/local/go:/usr/local/go:ro'
  record go-compile-in-build buildah "$version" <<<'build -f svc/Containerfile -t quay.io/example/svc:1 svc'
  mounts=
fi
