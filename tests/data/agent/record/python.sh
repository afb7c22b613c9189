# pip and pytest outside of an image, with wordings that builds do not show.
[[ -d $root/venv ]] || { /usr/bin/python3 -m venv "$root/venv" && "$root/venv/bin/pip" -q install pytest==8.3.4 requests==2.32.3; }
PATH=$root/venv/bin:$PATH
export PYTHONDONTWRITEBYTECODE=1

fresh
record pip-requirements-file pip 'pip --version' <<<'pip install -r requirements/prod.txt'

fresh; mkdir sdist; printf 'from setuptools import setup, Extension\nsetup(name="fastsum", version="1.0", ext_modules=[Extension("fastsum", ["fastsum.c"])])\n' >sdist/setup.py
printf '#include <Python.h>\n#include <libfast.h>\nint x;\n' >sdist/fastsum.c
record pip-header-missing pip 'pip --version' <<<'pip install ./sdist'

fresh; mkdir old; printf '[project]\nname = "needs-new"\nversion = "1.0"\nrequires-python = ">=3.13"\n' >old/pyproject.toml
record pip-python-version pip 'pip --version' <<<'pip install ./old'

fresh; printf 'import os\n\nDATABASE_URL = os.environ["DATABASE_URL"]\nprint("connecting to", DATABASE_URL)\n' >main.py
record python-environment python 'python --version' <<<'echo "INFO:     Started server process [1]"; echo "INFO:     Waiting for application startup."; python main.py'

fresh; printf 'def total(items):\n    return sum(i["price"] for i in items)\n\n\nprint(total([{"price": 1}, {"cost": 2}]))\n' >report.py
record python-exception python 'python --version' <<<'python report.py'

fresh; mkdir app; printf 'from requests import Client\n' >app/web.py; printf 'import app.web\n' >main.py
record python-import-error python 'python --version' <<<'python main.py'

fresh; printf 'import unittest\n\n\nclass Price(unittest.TestCase):\n    def test_gross(self):\n        self.assertEqual(round(100 * 1.2, 2), 119.0)\n\n\nif __name__ == "__main__":\n    unittest.main()\n' >test_price.py
record unittest-failure python 'python --version' <<<'python -m unittest -v test_price'

fresh; { for i in $(seq 30); do printf 'import warnings\ndef test_ok_%d():\n    warnings.warn("deprecated api %d", DeprecationWarning)\n' "$i" "$i"; done; printf 'def test_limit():\n    assert {"limit": 10} == {"limit": 12}\n'; } >test_many.py
record pytest-warnings-at-tail pytest 'pytest --version' <<<'pytest -q test_many.py'

fresh; printf 'import pytest\n\n\n@pytest.fixture\ndef db():\n    raise ConnectionRefusedError(111, "Connection refused")\n\n\ndef test_read(db):\n    assert db\n' >test_db.py
record pytest-fixture-error pytest 'pytest --version' <<<'pytest -q test_db.py'

# Killed in the middle of its work, as by the kernel: the log stops without a reason.
fresh; { for i in $(seq 60); do printf 'def test_load_%d():\n    pass\n' "$i"; done; printf 'import os, signal\ndef test_model():\n    try:\n        raise ValueError("cache miss, computing again")\n    except ValueError:\n        import traceback; traceback.print_exc()\n    os.kill(os.getpid(), signal.SIGKILL)\n'; } >test_model.py
record killed-without-a-word pytest 'pytest --version' <<<'pytest -v -s test_model.py'
