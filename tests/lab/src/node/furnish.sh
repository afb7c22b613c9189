# Furnishes the node's machine: $1 becomes its /tmp, $2 and $3 are the addresses of the machine and of the host, $4 those
# of Services.
set -e

# what would be written to the host's own otherwise
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mount --bind "$1" /tmp

# names are asked of CoreDNS
echo "nameserver $2" >/run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf

# The kubelet counts these cores. Requests of two tenants and a pipeline add up to more than two, though nothing needs
# them: the machine shares what it has. More are made up by counting real ones again under longer spellings of their
# numbers (cpu0, cpu00, ...), as the kubelet also gives all numbers to its cpuset, and a kernel takes real ones only.
cores=8
real=$(cd /sys/devices/system/cpu 2>/dev/null && ls -d cpu[0-9]* 2>/dev/null | tr -d cpu || true)
[ -n "$real" ] || real=$(seq 0 "$(($(nproc) - 1))")
mount -t tmpfs tmpfs /sys/devices/system/node
core=0 zeros=
while [ "$core" -lt "$cores" ]; do
  for number in $real; do
    topology=/sys/devices/system/node/node0/cpu$zeros$number/topology
    mkdir -p "$topology"
    echo "$core" >"$topology/core_id"
    echo 0 >"$topology/physical_package_id"
    core=$((core + 1))
  done
  zeros=0$zeros
done

echo 1 >/proc/sys/net/ipv4/ip_forward
# without it, answers between pods pass the packet filter by
[ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
ip link set lo up
ip address add "$2/30" dev eth0
ip link set eth0 up
ip route add default via "$3"
# A Service whose pods change is nobody's for an instant, because kube-proxy writes one table after the other. What is sent
# to it just then would be forgotten by everybody but the connection tracking, and tried in vain for two minutes.
for chain in FORWARD OUTPUT; do
  iptables --append "$chain" --destination "$4" --jump REJECT
done
