"""What `usps-token --help` teaches."""

USAGE = (
    "usage: usps-token bearer|payment|headers|wait|status|exec|explain [options]; --help explains"
)

HELP = """\
usps-token: takes USPS tokens from the usps-token-broker on this host.

  usps-token bearer                    print the OAuth token
  usps-token payment [NAME]            print the payment authorization token
  usps-token headers [--payment [NAME]]
                                       print request headers, one a line
  usps-token wait [--slot SLOT ...]    wait until the broker has good tokens; ends at once
                                       with what only a person can mend
  usps-token status                    show every token and what is wrong with it
  usps-token exec [--payment [NAME]] [--fd|--file] -- CMD [ARG ...]
                                       run CMD with USPS_BEARER_TOKEN (and
                                       USPS_PAYMENT_TOKEN) in its environment, or with
                                       the header lines in what USPS_TOKEN_HEADERS names
  usps-token explain [CODE]            say what an error is: this code, or an answer of
                                       USPS piped in, as `curl -i` or `curl -v` prints it

options
  --app NAME        which USPS application, where you may use several
  --socket PATH     the broker's socket. Else USPS_TOKEN_SOCKET, else the first of
                    /run/usps-token-broker/broker.sock and
                    $XDG_RUNTIME_DIR/usps-token-broker/broker.sock
  --timeout S       give up after S seconds (12; wait: 60)
  --min-valid S     only with at least S seconds of life left
  --json            print what the broker said, as JSON (all but wait and exec)
  --fd              exec: the headers in an inherited descriptor, in memory
  --file            exec: the headers in a file of mode 0600 in $XDG_RUNTIME_DIR or
                    /dev/shm, removed within a second after CMD has ended
  --version         print the version

examples
  Call USPS. The headers go through a pipe: an argument is seen by every user of the host.

    usps-token headers | curl -fsS -H @- \\
      'https://apis.usps.com/addresses/v3/city-state?ZIPCode=30022'

    usps-token headers --payment | curl -fsS -H @- -H 'Content-Type: application/json' \\
      --data-binary @label.json https://apis.usps.com/labels/v3/label

  Start a service when there is a token:

    usps-token wait --timeout 120 --slot bearer payment && exec my-worker

  Run a program that takes its token from the environment. There this user and root can
  read it in /proc/PID/environ, every child of CMD inherits it, and reporters of crashes
  send it. Nobody renews it: good for a program of minutes, wrong for a service.

    usps-token exec -- ./nightly-report

  The same without an environment that gives away tokens. A descriptor is closed by what
  closes all it does not know, such as Python's subprocess; a file is not.

    usps-token exec --fd -- sh -c 'curl -fsS -H "@$USPS_TOKEN_HEADERS" \\
      "https://apis.usps.com/addresses/v3/city-state?ZIPCode=30022"'

  What does this answer mean, and who can mend it?

    curl -sv https://apis.usps.com/labels/v3/label … 2>&1 | usps-token explain

exit status
  0 done   64 wrong usage      65 explain: not recognised          69 no broker there
  73 exec: no place for a file 74 cannot write   75 try again later
  76 not a broker's answer     77 not for this user 78 a person must mend something
  130 interrupted              exec: that of CMD; 126 CMD cannot be run, 127 there is no CMD

environment
  USPS_TOKEN_SOCKET   the broker's socket
  USPS_TOKEN_STATIC   for machines without a broker: the token itself, or JSON like
                      {"bearer": "…", "payment": "…"}
"""
