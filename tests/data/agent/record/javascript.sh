# npm and Node.js.
export npm_config_cache=$root/npm npm_config_update_notifier=false npm_config_fund=false npm_config_fetch_retries=1
npm='npm --version' node='node --version'
package() { printf '{"name":"web","version":"1.0.0","private":true,"dependencies":{%s}}\n' "$1" >package.json; }

fresh; package '"left-padd-nope":"^1.3.0"'
record npm-unknown-package npm "$npm" <<<'npm install'
fresh; package '"left-pad":"^99.0.0"'
record npm-unknown-version npm "$npm" <<<'npm install'
fresh; package '"left-pad":"^1.3.0"'
record npm-ci-without-lock npm "$npm" <<<'npm ci'
fresh; package '"left-pad":"^1.3.0"'; npm install --package-lock-only >/dev/null 2>&1; package '"left-pad":"^1.3.0","is-odd":"^3.0.1"'
record npm-ci-out-of-sync npm "$npm" <<<'npm ci'
fresh; package '"react":"^17.0.2","react-dom":"^18.2.0"'
record npm-peer-conflict npm "$npm" <<<'npm install'
fresh
record npm-package-json-missing npm "$npm" <<<'npm run build'
fresh; printf '{"name":"web","scripts":{"start":"node server.js"}}\n' >package.json
record npm-script-missing npm "$npm" <<<'npm run build'
fresh; printf '{"name":"web","scripts":{"build":"vite build"}}\n' >package.json
record npm-tool-missing npm "$npm" <<<'npm run build'
fresh; printf 'const express = require("express");\nexpress().listen(8080);\n' >server.js
record node-module-missing node "$node" <<<'node server.js'
fresh; printf 'import { price } from "./prices.mjs";\nconsole.log(price(1));\n' >main.mjs
record node-import-missing node "$node" <<<'node main.mjs'
fresh; printf 'function price(net {\n  return net;\n}\n' >price.js
record node-syntax node "$node" <<<'node price.js'
fresh; printf 'const items = [];\nfor (;;) items.push(new Array(1000).fill({ a: 1 }));\n' >grow.js
record node-heap node "$node" <<<'node --max-old-space-size=24 grow.js'
fresh; printf 'import test from "node:test";\nimport assert from "node:assert";\ntest("gross price", () => assert.strictEqual(100 * 1.2, 119));\ntest("net price", () => assert.ok(true));\n' >price.test.mjs
record node-test-failure node "$node" <<<'node --test price.test.mjs'
fresh; printf 'const o = undefined;\nconsole.log(o.name);\n' >crash.js
record node-exception node "$node" <<<'node crash.js'
fresh; mkdir src; printf '{"name":"web","private":true}\n' >package.json; npm install --silent typescript@5.6.3 >/dev/null 2>&1; printf 'export function price(net: number): string {\n  return net * 1.19;\n}\nexport const total: number = prices(1);\n' >src/price.ts
record tsc-compile tsc 'npx tsc --version' <<<'npx tsc --noEmit --strict src/price.ts'
fresh; printf '{"name":"web","private":true}\n' >package.json; npm install --silent jest@29.7.0 >/dev/null 2>&1; printf 'const price = (net) => net * 1.2;\ndescribe("price", () => {\n  it("adds tax", () => { expect(price(100)).toBe(119); });\n  it("keeps zero", () => { expect(price(0)).toBe(0); });\n});\n' >price.test.js
record jest-failure jest 'npx jest --version' <<<'npx jest --no-color'
fresh; printf '{"name":"web","private":true}\n' >package.json; npm install --silent eslint@9.14.0 >/dev/null 2>&1; printf 'export default [{ rules: { "no-unused-vars": "error", eqeqeq: "error" } }];\n' >eslint.config.mjs; printf 'const unused = 1;\nif (1 == "1") console.log("x");\n' >main.js
record eslint-failure eslint 'npx eslint --version' <<<'npx eslint --no-color main.js'
