#!/bin/sh
# make demo: a folder with users, mail and a configuration, and a master that serves them on loopback until Ctrl-C.
#
#   DEMO_DIR  DEMO_IMAP_PORT  DEMO_POP3_PORT  DEMO_USERS   as `make help` explains them
#   DEMO_PROGRAMS                                          the folder with the built programs
#
# Run as root it gives each user a uid of his own; else everybody is who runs it. Run again on the same folder it
# writes the configuration anew and leaves the mail alone.
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd -P)
users=${DEMO_USERS:-0}
imap=${DEMO_IMAP_PORT:-11143}
pop3=${DEMO_POP3_PORT:-11110}
programs=$(cd "${DEMO_PROGRAMS:-target/release}" && pwd -P)
# Users that own nothing: of workers while they serve nobody, of mail-auth, and of mail-login.
base=19001 auth=19002 login=19003

die() {
    echo "demo: $*" >&2
    exit 2
}

for number in "$users" "$imap" "$pop3"; do
    case $number in '' | *[!0-9]*) die "$number: not a number" ;; esac
done
[ "$users" -le 30000 ] || die "DEMO_USERS: 30000 at most"

root=false
[ "$(id -u)" -ne 0 ] || root=true

# --- Where: DEMO_DIR, or if the server could not live there, a folder below /tmp that it links to.

folder=${DEMO_DIR:-demo}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd -P)
place=$folder

unfit() {
    case $folder in *[!A-Za-z0-9._/+@-]*)
        echo "its path has characters that the configuration would have to quote"
        return
        ;;
    esac
    if [ "${#folder}" -gt 80 ]; then
        echo "its path is too long for a socket's"
    elif $root && chmod 755 "$folder" && ! "$programs/mail-jail" --user $base --group $base test -x "$folder/."; then
        echo "users other than root cannot go there, and the server is several users"
    else
        return 1
    fi
}

if why=$(unfit); then
    place=$(readlink "$folder/place" || true)
    if [ ! -d "$place" ] || [ -z "$(find "$place" -prune -user "$(id -u)")" ]; then
        place=$(mktemp -d /tmp/mail-demo.XXXXXX)
        ln -sfn "$place" "$folder/place"
    fi
    chmod 755 "$place"
    for name in bin home run mail.conf local.conf passwd; do
        ln -sfn "place/$name" "$folder/$name"
    done
    echo "demo: $folder: $why."
    echo "demo: so all is in $place, and that folder links to it."
fi

mailctl() {
    "$programs/mailctl" --base-dir "$place/run" "$@"
}
! mailctl ping >/dev/null 2>&1 || die "$place: a demo runs here already"

# --- The programs, in a place where those that they become can execute them.

mkdir -p "$place/bin" "$place/home"
for program in mail-master mail-login mail-auth mail-worker mail-jail mailctl envdump fdpass; do
    install -m 755 "$programs/$program" "$place/bin/$program"
done

# --- The users, and on the first run their mail.

# Directories that belong to a uid: own UID DIR...
own() {
    uid=$1
    shift
    if $root; then
        install -d -m 700 -o "$uid" -g "$uid" "$@"
    else
        install -d -m 700 "$@"
    fi
}

# An empty Maildir in the home of a new user: maildir HOME UID [FOLDER]
maildir() {
    own "$2" "$1" "$1/Maildir" "$1/Maildir${3:+/.$3}" "$1/Maildir${3:+/.$3}/cur" "$1/Maildir${3:+/.$3}/new" \
        "$1/Maildir${3:+/.$3}/tmp"
}

# The messages of a folder into a Maildir: deliver FROM TO. A file NUMBER,FLAGS.eml has been seen by a client, with these
# flags; NUMBER.eml is new. Each has the time of its Date header, as if it had come then.
deliver() {
    for file in "$1"/*.eml; do
        name=${file##*/}
        name=${name%.eml}
        date=$(sed -n -e '/^$/q' -e 's/^Date: //p' "$file")
        key=$(date -d "$date" +%s 2>/dev/null || echo 1700000000).M${name%%,*}P1.demo
        case $name in
            *,*) to="$2/cur/$key:2,${name#*,}" ;;
            *) to="$2/new/$key" ;;
        esac
        cp "$file" "$to"
        chmod 600 "$to"
        touch -d "$date" "$to" 2>/dev/null || true
    done
}

# A user with sample mail: sample NAME UID
sample() {
    home=$place/home/$1
    [ ! -d "$home" ] || return 0
    maildir "$home" "$2"
    deliver "$here/mail/$1/INBOX" "$home/Maildir"
    for sub in Sent Archive.2025; do
        maildir "$home" "$2" "$sub"
        : >"$home/Maildir/.$sub/maildirfolder"
        deliver "$here/mail/$1/$sub" "$home/Maildir/.$sub"
    done
    printf '%s\n' Sent Archive.2025 >"$home/Maildir/subscriptions"
    ! $root || chown -hR "$2:$2" "$home"
}

sample alice 20001
sample bob 20002

# Many users, few processes. A home that is still root's was left behind by a start that was interrupted.
n=1
while [ "$n" -le "$users" ]; do
    home=$place/home/u$n
    # shellcheck disable=SC3067 # dash, bash and ksh all know -O
    if [ ! -d "$home" ] || { $root && [ -O "$home" ]; }; then
        echo "$((20002 + n)) $home"
    fi
    n=$((n + 1))
done >"$place/new"
if [ -s "$place/new" ]; then
    (umask 077 && sed 's,^[0-9]* \(.*\),\1/Maildir/cur \1/Maildir/new \1/Maildir/tmp,' "$place/new" | xargs mkdir -p)
    ! $root || sed 's,^\([0-9]*\) ,\1:\1 ,' "$place/new" | xargs -L 1 -P 4 chown -hR
fi
rm "$place/new"

awk -v users="$users" -v place="$place" -v root=$root -v uid="$(id -u)" -v gid="$(id -g)" '
    function user(name, number) {
        if (root == "false") number = uid
        group = root == "false" ? gid : number
        printf "%s:{PLAIN}secret:%d:%d::%s/home/%s::\n", name, number, group, place, name
    }
    BEGIN {
        user("alice", 20001)
        user("bob", 20002)
        for (n = 1; n <= users; n++) user("u" n, 20002 + n)
    }' >"$place/passwd.new"
chmod 640 "$place/passwd.new"
! $root || chgrp $auth "$place/passwd.new"
mv "$place/passwd.new" "$place/passwd"

# --- The configuration.

loopback() {
    if grep -qs '^00000000000000000000000000000001 ' /proc/net/if_inet6; then
        echo "127.0.0.1:$1, [::1]:$1"
    else
        echo "127.0.0.1:$1"
    fi
}

if $root; then
    first_uid=20001 last_uid=$((20002 + users)) first_gid=20001 last_gid=$((20002 + users))
else
    first_uid=$(id -u) last_uid=$(id -u) first_gid=$(id -g) last_gid=$(id -g)
fi

# Many users with nothing are there to be many: none of them should begin by making four mailboxes.
auto=subscribe
[ "$users" -eq 0 ] || auto=no

mailbox() {
    printf '  mailbox %s {\n    special_use = \\%s\n    auto = %s\n  }\n' "$1" "$1" "$auto"
}

cat >"$place/mail.conf" <<CONF
# The configuration of this demo, written anew whenever it starts. What you change holds until then, as soon as
# you say: $place/bin/mailctl --base-dir $place/run reload
# What is to stay goes into local.conf beside this file. All settings: $place/bin/mail-master -a -c $place/mail.conf

# Sockets by which the server is asked and steered.
base_dir = $place/run

# Who is served, and where. Without TLS, passwords are taken from this machine only.
protocols = imap pop3
protocol imap {
  listen = $(loopback "$imap")
}
protocol pop3 {
  listen = $(loopback "$pop3")
}

# One login process speaks to many clients.
login_process_per_connection = no

# The point of it all: a mail process serves many clients of many users, each as that user.
# With yes, each client has a process of his own.
mail_process_per_connection = no
mail_max_connections = 20
mail_process_share = all
max_mail_processes = 512

# Which users may be served. Sharing needs to know the range: nobody outside of it is ever become.
first_valid_uid = $first_uid
last_valid_uid = $last_uid
first_valid_gid = $first_gid
last_valid_gid = $last_gid

# Users that own nothing. Numbers need no entry in the user database.
mail_base_user = $base
auth_user = $auth
login_user = $login

# Where mail is.
mail_location = maildir:~/Maildir

# Mailboxes that clients take for something. With subscribe, who looks for mailboxes has them.
namespace inbox {
$(for use in Sent Drafts Trash Junk; do mailbox $use; done)
}

# Users and passwords, in Dovecot's format.
passdb passwd-file {
  args = $place/passwd
}
userdb passwd-file {
  args = $place/passwd
}

!include_try $place/local.conf
CONF

# --- What to try, and the server in the place of this script.

ctl="$place/bin/mailctl --base-dir $place/run"
more=
[ "$users" -eq 0 ] || more=", and u1 to u$users with empty ones"
cat <<TRY

alice and bob have mail here$more. The password is: secret
  IMAP 127.0.0.1:$imap   POP3 127.0.0.1:$pop3   all files: $place

In another terminal, try:
  curl -u alice:secret 'imap://127.0.0.1:$imap/INBOX' -X 'FETCH 1:* (FLAGS ENVELOPE)'
  curl -u bob:secret 'imap://127.0.0.1:$imap/INBOX;MAILINDEX=2'
  curl -u alice:secret 'imap://127.0.0.1:$imap/INBOX?SUBJECT%20hafen'
  curl -u alice:secret 'pop3://127.0.0.1:$pop3/1'
  mutt -R -e 'set ssl_force_tls=no' -f imap://alice:secret@127.0.0.1:$imap/
  fetchmail -f /dev/null -k --sslproto '' -p POP3 -P $pop3 -u alice -m cat 127.0.0.1
  python3 -c 'import imaplib; m = imaplib.IMAP4("127.0.0.1", $imap); print(m.login("bob", "secret"), m.list())'
  $ctl who
  $ctl status
Ctrl-C ends it.

TRY

# Says when a client would be answered. The shell between is gone at once, so that the server has no child that is not its own.
(
    (
        while kill -0 $$ 2>/dev/null; do
            listening=$(mailctl status --json 2>/dev/null | grep '"state":"listening"' || true)
            case $listening in
                *'"protocol":"imap"'*'"protocol":"pop3"'* | *'"protocol":"pop3"'*'"protocol":"imap"'*)
                    echo "demo: ready"
                    exit
                    ;;
            esac
            sleep 0.1
        done
    ) &
)
exec "$place/bin/mail-master" -F -c "$folder/mail.conf"
