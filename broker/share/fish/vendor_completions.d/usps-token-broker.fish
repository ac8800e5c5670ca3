# fish completion for usps-token-broker
# Made by `python tests/manuals`; a test compares it with the code.

function __usps_token_broker_words -d 'what is no option, the command first'
    set -l skip
    for word in (commandline -opc)[2..-1]
        if set -q skip[1]
            set -e skip[1]
            continue
        end
        switch $word
            case --config --log-format --socket --admin-socket --as --app --bundle --every --status --host --wait --slots --root --program --workers --life --port --fault --quota --client-id --client-secret-file
                set skip 1
            case '-*'
            case '*'
                echo $word
        end
    end
end

function __usps_token_broker_command -d 'the command, if there is one yet'
    set -l words (__usps_token_broker_words)
    set -q words[1]; and echo $words[1]
end

function __usps_token_broker_is -d 'whether it is one of these'
    set -l command (__usps_token_broker_command); and contains -- $command $argv
end

function __usps_token_broker_has -d 'whether so many words follow the command'
    set -l words (__usps_token_broker_words)
    test (count $words) -eq (math $argv[1] + 1)
end

function __usps_token_broker_behind -d 'whether the last option is this one'
    set -l options (commandline -opc | string match -- '-*')
    test "$options[-1]" = $argv[1]
end

function __usps_token_broker_value -d 'the values of a kind'
    switch $argv[1]
        case directory
            __fish_complete_directories (commandline -ct)
        case slot
            printf '%s\n' bearer payment (timeout 1 usps-token-broker status --json 2>/dev/null | grep -oE '"slot": *"[A-Za-z0-9._-]+"' | cut -d'"' -f4 | sort -u)
        case app
            timeout 1 usps-token-broker status --json 2>/dev/null | grep -oE '"app": *"[A-Za-z0-9._-]+"' | cut -d'"' -f4 | sort -u
        case shell
            printf '%s\n' bash zsh fish
        case program
            printf '%s\n' usps-token-broker usps-token
        case fault
            printf '%s\n' delay hang hold reset server_error unavailable rate_limited rate_limited_until html blocked not_json empty_body gateway_fault redirect redirect_307 huge_body invalid_client unauthorized contract_refused not_enrolled account_state label_refused missing_scope revoked_early revoke_on_renewal short_life past_end no_token no_expires_in string_numbers line_breaks opaque_token same_token wrong_clock cut_body drip
        case host
            printf '%s\n' 127.0.0.1 localhost ::1
    end
end

complete -c usps-token-broker -f
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -s h -l help -d 'print this help and exit'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -l version -d 'print the versions a report of trouble needs, and exit'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a run -d 'be the broker'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a check -d 'read the configuration and the secrets, say what is wrong, touch nothing'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a doctor -d 'look at everything between a worker and USPS, and say what is wrong'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a status -d 'ask the running broker how every token stands'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a top -d 'the same live'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a explain -d 'say what an error is and what to do'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a reload -d 'have the running broker read configuration and secrets again, all or nothing'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a renew -d 'have the running broker fetch another token now'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a forget -d 'have the running broker drop tokens at once'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a key -d 'make, list and revoke local keys, for programs that cannot be changed'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a install-units -d 'write the systemd units for this program, never over what somebody changed'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a uninstall-units -d 'take away the units that install-units wrote, and nothing else'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a demo -d 'show it at work'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a simulate -d 'be a USPS that is not'
complete -c usps-token-broker -n 'not __usps_token_broker_command >/dev/null' -a completion -d 'print what bash, zsh or fish needs to complete commands and options'
complete -c usps-token-broker -n '__usps_token_broker_is run check doctor status top explain reload renew forget key install-units uninstall-units demo simulate completion' -s h -l help -d 'print this help and exit'
complete -c usps-token-broker -n '__usps_token_broker_is run check doctor top reload renew forget key' -l config -r -F -d 'the configuration'
complete -c usps-token-broker -n '__usps_token_broker_is run' -l log-format -x -d 'auto'
complete -c usps-token-broker -n '__usps_token_broker_is doctor status top' -l socket -r -F -d 'the broker\'s socket'
complete -c usps-token-broker -n '__usps_token_broker_is doctor top reload renew forget' -l admin-socket -r -F -d 'the broker\'s admin socket'
complete -c usps-token-broker -n '__usps_token_broker_is doctor' -l as -x -d 'say what USER would get'
complete -c usps-token-broker -n '__usps_token_broker_is doctor' -l online -d 'make two calls'
complete -c usps-token-broker -n '__usps_token_broker_is doctor' -l app -x -a '(__usps_token_broker_value app)' -d 'which app --online is about'
complete -c usps-token-broker -n '__usps_token_broker_is doctor' -l bundle -r -F -d 'write all that was seen, without secrets and ids, into a new file of mode 0600'
complete -c usps-token-broker -n '__usps_token_broker_is doctor explain' -l json -d 'for programs'
complete -c usps-token-broker -n '__usps_token_broker_is status' -l follow -d 'go on with each change'
complete -c usps-token-broker -n '__usps_token_broker_is status' -l json -d 'the broker\'s answer as it is'
complete -c usps-token-broker -n '__usps_token_broker_is top' -l every -x -d 'how often to look'
complete -c usps-token-broker -n '__usps_token_broker_is explain' -l status -x -d 'the HTTP status, where the text has none'
complete -c usps-token-broker -n '__usps_token_broker_is explain' -l host -x -a '(__usps_token_broker_value host)' -d 'the host that the tokens are for'
complete -c usps-token-broker -n '__usps_token_broker_is explain' -l list -d 'every code there is'
complete -c usps-token-broker -n '__usps_token_broker_is reload' -l wait -x -d 'how long to wait for USPS\'s word on a changed secret'
complete -c usps-token-broker -n '__usps_token_broker_is reload renew forget' -l json -d 'the broker\'s answer as it is'
complete -c usps-token-broker -n '__usps_token_broker_is renew key' -l app -x -a '(__usps_token_broker_value app)' -d 'of which app, where there are several'
complete -c usps-token-broker -n '__usps_token_broker_is renew' -l wait -x -d 'how long to wait for it'
complete -c usps-token-broker -n '__usps_token_broker_is forget' -l app -x -a '(__usps_token_broker_value app)' -d 'of which app'
complete -c usps-token-broker -n '__usps_token_broker_is forget' -l all -d 'every token of every app'
complete -c usps-token-broker -n '__usps_token_broker_is key' -l slots -x -d 'which tokens it opens, with commas between them'
complete -c usps-token-broker -n '__usps_token_broker_is key' -l json -d 'the same for programs'
complete -c usps-token-broker -n '__usps_token_broker_is install-units uninstall-units' -l user -d 'your own service manager'
complete -c usps-token-broker -n '__usps_token_broker_is install-units uninstall-units' -l root -x -a '(__usps_token_broker_value directory)' -d 'the root directory of an image'
complete -c usps-token-broker -n '__usps_token_broker_is install-units uninstall-units' -l dry-run -d 'show what would be done and the differences'
complete -c usps-token-broker -n '__usps_token_broker_is install-units uninstall-units' -l force -d 'move aside what somebody else wrote or changed, as NAME.saved-1'
complete -c usps-token-broker -n '__usps_token_broker_is install-units uninstall-units' -l json -d 'one object for a program'
complete -c usps-token-broker -n '__usps_token_broker_is install-units' -l now -d 'enable and start, or restart, too'
complete -c usps-token-broker -n '__usps_token_broker_is install-units' -l program -r -F -d 'the program that the service starts'
complete -c usps-token-broker -n '__usps_token_broker_is demo' -l workers -x -d 'worker processes'
complete -c usps-token-broker -n '__usps_token_broker_is demo' -l life -x -d 'life of a token, 12 to 24'
complete -c usps-token-broker -n '__usps_token_broker_is demo' -l plain -d 'lines instead of a live picture, also on a terminal'
complete -c usps-token-broker -n '__usps_token_broker_is demo' -l json -d 'only the result, as JSON'
complete -c usps-token-broker -n '__usps_token_broker_is simulate' -l host -x -a '(__usps_token_broker_value host)' -d 'address to listen on'
complete -c usps-token-broker -n '__usps_token_broker_is simulate' -l port -x -d 'port to listen on'
complete -c usps-token-broker -n '__usps_token_broker_is simulate' -l anywhere -d 'allow a --host that other machines can reach'
complete -c usps-token-broker -n '__usps_token_broker_is simulate' -l life -x -d 'life of the tokens'
complete -c usps-token-broker -n '__usps_token_broker_is simulate' -l fault -x -a '(__usps_token_broker_value fault)' -d 'a fault to begin with'
complete -c usps-token-broker -n '__usps_token_broker_is simulate' -l quota -x -d 'calls an hour and app, or none'
complete -c usps-token-broker -n '__usps_token_broker_is simulate' -l client-id -x -d 'client id'
complete -c usps-token-broker -n '__usps_token_broker_is simulate' -l client-secret-file -r -F -d 'file that holds the client secret'
complete -c usps-token-broker -n '__usps_token_broker_is simulate' -l json -d 'print one line of JSON, {"base_url"'
complete -c usps-token-broker -n '__usps_token_broker_is explain; and __usps_token_broker_has 0' -a '(__usps_token_broker_value text)'
complete -c usps-token-broker -n '__usps_token_broker_is renew; and __usps_token_broker_has 0' -a '(__usps_token_broker_value slot)'
complete -c usps-token-broker -n '__usps_token_broker_is forget; and __usps_token_broker_has 0' -a '(__usps_token_broker_value slot)'
complete -c usps-token-broker -n '__usps_token_broker_is key; and __usps_token_broker_has 0' -a '(__usps_token_broker_value action)'
complete -c usps-token-broker -n '__usps_token_broker_is key; and __usps_token_broker_has 1' -a '(__usps_token_broker_value text)'
complete -c usps-token-broker -n '__usps_token_broker_is completion; and __usps_token_broker_has 0' -a '(__usps_token_broker_value shell)'
complete -c usps-token-broker -n '__usps_token_broker_is completion; and __usps_token_broker_has 1' -a '(__usps_token_broker_value program)'
