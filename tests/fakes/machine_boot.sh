#!/bin/sh
# Boots a systemd of its own for a test: machine_boot.sh FOLDER [BIND SOURCE TARGET]...
#
# Runs as root in a mount namespace made for it. Everything the machine writes goes to a tmpfs in
# that namespace, so nothing is left of it once its last process is gone, but for an empty cgroup,
# which is removed here. The machine ends when standard input does: whoever started this holds the
# other end, and lets go of it by dying, too.
set -eu

# What would reach the kernel that the machine shares with its host.
forbidden=-sys_module,-sys_rawio,-sys_pacct,-sys_time,-audit_control,-audit_read,-audit_write
forbidden=$forbidden,-mac_admin,-mac_override,-syslog,-wake_alarm,-block_suspend

# Units that belong to a host and not to a container in which nothing but a service is tried.
hosts_own='systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket
  systemd-udev-trigger.service systemd-udev-settle.service systemd-hwdb-update.service
  systemd-modules-load.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount
  systemd-sysctl.service systemd-random-seed.service systemd-pstore.service
  systemd-remount-fs.service systemd-firstboot.service systemd-machine-id-commit.service
  systemd-journald-audit.socket systemd-networkd.service systemd-resolved.service
  systemd-timesyncd.service systemd-sysusers.service systemd-update-done.service ldconfig.service
  sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount
  sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount'

outside() {
  folder=$1
  shift
  mount -t tmpfs -o mode=755,size=512m machine "$folder"
  cd "$folder"
  mkdir cgroup upper work root empty
  mount -t cgroup2 cgroup cgroup
  # Of others whose keeper was killed; one that lives may be about to fill its own.
  for left in cgroup/utb-machine-*; do
    [ -d "/proc/${left##*-}" ] || remove_cgroups "$left"
  done
  group=cgroup/utb-machine-$$
  mkdir "$group"
  furnish upper
  # The shell moves first: the machine's cgroup namespace begins where its first process is.
  (
    echo 0 >"$group/cgroup.procs"
    exec setpriv --pdeathsig KILL \
      unshare --kill-child=KILL --fork --pid --mount --uts --ipc --net --cgroup \
      sh "$0" --inside "$PWD" "$@"
  ) </dev/null &
  echo "$!"
  cat >/dev/null
  kill -KILL "$!" 2>/dev/null || true
  wait || true
  echo 1 >"$group/cgroup.kill" 2>/dev/null || true
  for _ in $(seq 100); do
    remove_cgroups "$group"
    [ -d "$group" ] || break
    sleep 0.02 # the last of its processes are still on their way out
  done
  cd /
  umount -l "$folder"
  rmdir "$folder"
}

# Empty ones only: the kernel keeps those in which anything runs.
remove_cgroups() {
  for left in "$@"; do
    if [ -d "$left" ]; then
      find "$left" -depth -type d -exec rmdir {} + 2>/dev/null || true
    fi
  done
}

# What is different from the host whose root the machine shares.
furnish() {
  mkdir -p "$1/etc/systemd" "$1/var"
  : >"$1/etc/fstab"
  echo broker-test >"$1/etc/hostname"
  echo '127.0.0.1 localhost' >"$1/etc/hosts"
  tr -d - </proc/sys/kernel/random/uuid >"$1/etc/machine-id"
  # A /usr newer than these would have systemd bring the host's databases up to date.
  : >"$1/etc/.updated"
  : >"$1/var/.updated"
}

inside() {
  folder=$1
  shift
  cd "$folder"
  mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
  while [ "$#" -ge 3 ]; do
    mkdir -p "root$3"
    mount --bind "$2" "root$3"
    mount -o remount,bind,ro "root$3"
    shift 3
  done
  # What the host's administrator enabled, and what systemd keeps of the host, is not ours.
  for hidden in etc/systemd/system etc/systemd/user var/lib/systemd var/lib/private \
    var/log/journal etc/credstore etc/credstore.encrypted; do
    mkdir -p "root/$hidden"
    mount -t tmpfs -o mode=755 tmpfs "root/$hidden"
  done
  for unit in $hosts_own; do
    ln -s /dev/null "root/etc/systemd/system/$unit"
  done
  kernel_files root
  cat >root/etc/systemd/system/machine.target <<'TARGET'
[Unit]
Description=A machine for a test
Requires=sysinit.target
Wants=dbus.socket systemd-tmpfiles-setup.service
After=sysinit.target dbus.socket
AllowIsolate=yes
TARGET
  mkdir -p root/etc/systemd/journald.conf.d
  printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\nReadKMsg=no\nAudit=no\n' \
    >root/etc/systemd/journald.conf.d/machine.conf
  ip link set lo up 2>/dev/null || true # systemd does it too; the package may be missing
  cd root
  mkdir -p mnt
  pivot_root . mnt
  umount -l /mnt
  # Left private, no credential would reach a service: systemd hands them over by propagation.
  mount --make-rshared /
  exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb LANG=C.UTF-8 \
    setpriv --bounding-set="$forbidden" \
    /lib/systemd/systemd systemd.unit=machine.target systemd.show_status=0 </dev/null
}

# /proc, /sys, /dev, /run and /tmp as a container has them.
kernel_files() {
  mount -t proc -o nosuid,nodev,noexec proc "$1/proc"
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$1/sys"
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$1/sys/fs/cgroup"
  mount -t tmpfs -o mode=755,nosuid,strictatime tmpfs "$1/dev"
  while read -r name minor; do
    mknod -m 666 "$1/dev/$name" c 1 "$minor"
  done <<'NODES'
null 3
zero 5
full 7
random 8
urandom 9
NODES
  mknod -m 666 "$1/dev/tty" c 5 0
  mknod -m 600 "$1/dev/console" c 1 3 # what is said there, nobody reads
  mkdir "$1/dev/pts" "$1/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$1/dev/pts"
  ln -s pts/ptmx "$1/dev/ptmx"
  ln -s /proc/self/fd "$1/dev/fd"
  ln -s fd/0 "$1/dev/stdin"
  ln -s fd/1 "$1/dev/stdout"
  ln -s fd/2 "$1/dev/stderr"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$1/dev/shm"
  mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$1/run"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$1/tmp"
  for name in sys sysrq-trigger irq bus fs; do
    if [ -e "$1/proc/$name" ]; then
      mount --bind "$1/proc/$name" "$1/proc/$name"
      mount -o remount,bind,ro "$1/proc/$name"
    fi
  done
  for name in kcore kmsg keys; do
    [ ! -e "$1/proc/$name" ] || mount --bind /dev/null "$1/proc/$name"
  done
}

if [ "$1" = --inside ]; then
  shift
  inside "$@"
else
  outside "$@"
fi
