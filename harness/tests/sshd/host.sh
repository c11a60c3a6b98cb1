# A host: sshd in namespaces of its own, with users and homes of its own. Started by unshare, as the first process there.
#   host.sh FOLDER NAME ADDRESS CLUSTER-ADDRESS
# FOLDER has what all hosts share; FOLDER/NAME is this one's.
set -eu
folder=$1 name=$2 address=$3 cluster=$4
export PATH="$PATH:/usr/sbin:/sbin"

# Its network cards are put in from outside.
echo ready
read -r _

mount -t proc proc /proc
mount -t tmpfs run /run
mkdir -m 755 /run/sshd
hostname "$name"
ip link set lo up
ip addr add "$address/24" dev management
ip addr add "$cluster/24" dev cluster
ip link set management up
ip link set cluster up

home=$folder/$name
mkdir "$home/root" "$home/admin" "$home/guest" "$home/etc"
mkdir -m 1777 "$home/tmp"
mount --bind "$home/tmp" /var/tmp
chown 7001:7001 "$home/admin"
chown 7002:7002 "$home/guest"
sed "s|^root:.*|root:x:0:0::$home/root:/bin/sh|" /etc/passwd >"$home/etc/passwd"
cp /etc/shadow "$home/etc/shadow"
for user in admin:7001 guest:7002; do
  id=${user#*:} user=${user%:*}
  echo "$user:x:$id:$id::$home/$user:/bin/sh" >>"$home/etc/passwd"
  echo "$user:*:20000:0:99999:7:::" >>"$home/etc/shadow"
done
printf 'root ALL=(ALL) ALL\nadmin ALL=(ALL) NOPASSWD: ALL\n' >"$home/etc/sudoers"
printf '127.0.0.1 localhost %s\n' "$name" >"$home/etc/hosts"
chmod 440 "$home/etc/sudoers"
# What is odd about this host.
if [ -e "$home/odd.sh" ]; then
  . "$home/odd.sh"
fi
for file in passwd shadow sudoers hosts; do
  mount --bind "$home/etc/$file" "/etc/$file"
done

exec "$(command -v sshd)" -D -e -f "$folder/sshd_config" -o "ListenAddress=$address"
