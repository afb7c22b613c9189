#!/bin/sh
# PostgreSQL as sclorg's image starts it: POSTGRESQL_USER owns POSTGRESQL_DATABASE, made on an empty directory.
set -eu

bin=/usr/lib/postgresql/15/bin
data=${PGDATA:-/var/lib/pgsql/data/userdata}
sockets=/tmp
port=${POSTGRESQL_PORT:-5432}
if [ ! -f "$data/PG_VERSION" ]; then
  mkdir -p "$data"
  chmod 0700 "$data"
  "$bin/initdb" --pgdata "$data" --auth-host scram-sha-256 --auth-local trust --encoding UTF8 --locale C.UTF-8 >/dev/null
  echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
  "$bin/pg_ctl" --pgdata "$data" --wait --silent --options "-c listen_addresses= -k $sockets -p $port" start
  # the password goes in by standard input, never by arguments
  "$bin/psql" --host "$sockets" --port "$port" --dbname postgres --quiet --set ON_ERROR_STOP=1 <<SQL
\getenv user POSTGRESQL_USER
\getenv password POSTGRESQL_PASSWORD
\getenv database POSTGRESQL_DATABASE
CREATE ROLE :"user" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"user";
SQL
  "$bin/pg_ctl" --pgdata "$data" --wait --silent stop
fi
exec "$bin/postgres" -D "$data" -c "listen_addresses=*" -c "unix_socket_directories=$sockets" -p "$port"
