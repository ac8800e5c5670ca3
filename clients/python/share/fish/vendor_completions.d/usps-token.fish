# fish completion for usps-token
# Made by `python tests/manuals`; a test compares it with the code.

function __usps_token_words -d 'what is no option, the command first'
    set -l skip
    for word in (commandline -opc)[2..-1]
        if set -q skip[1]
            set -e skip[1]
            continue
        end
        switch $word
            case --app --min-valid --socket --timeout
                set skip 1
            case '-*'
            case '*'
                echo $word
        end
    end
end

function __usps_token_command -d 'the command, if there is one yet'
    set -l words (__usps_token_words)
    set -q words[1]; and echo $words[1]
end

function __usps_token_is -d 'whether it is one of these'
    set -l command (__usps_token_command); and contains -- $command $argv
end

function __usps_token_has -d 'whether so many words follow the command'
    set -l words (__usps_token_words)
    test (count $words) -eq (math $argv[1] + 1)
end

function __usps_token_behind -d 'whether the last option is this one'
    set -l options (commandline -opc | string match -- '-*')
    test "$options[-1]" = $argv[1]
end

function __usps_token_value -d 'the values of a kind'
    switch $argv[1]
        case slot
            printf '%s\n' bearer payment (timeout 1 usps-token status --json 2>/dev/null | grep -oE '"slot": *"[A-Za-z0-9._-]+"' | cut -d'"' -f4 | sort -u)
        case app
            timeout 1 usps-token status --json 2>/dev/null | grep -oE '"app": *"[A-Za-z0-9._-]+"' | cut -d'"' -f4 | sort -u
        case payment
            printf '%s\n' default (timeout 1 usps-token status --json 2>/dev/null | grep -oE '"slot": *"[A-Za-z0-9._-]+"' | cut -d'"' -f4 | sort -u | sed -n 's/^payment-//p')
    end
end

function __usps_token_others -d 'the command line of the command that is to be run'
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    if set -q at[1]
        set -l rest $words[(math $at + 1)..-1] (commandline -ct)
        complete -C (string join ' ' -- (string escape -- $rest))
    else if string match -q -- '-*' (commandline -ct)
        return
    else if __usps_token_has 0
        complete -C (commandline -ct)
    else
        __fish_complete_path (commandline -ct)
    end
end

complete -c usps-token -f
complete -c usps-token -n 'not __usps_token_command >/dev/null' -s h -l help -d 'print this help and exit'
complete -c usps-token -n 'not __usps_token_command >/dev/null' -l version -d 'print the version'
complete -c usps-token -n 'not __usps_token_command >/dev/null' -l app -x -a '(__usps_token_value app)' -d 'which USPS application, where you may use several'
complete -c usps-token -n 'not __usps_token_command >/dev/null' -l socket -r -F -d 'the broker\'s socket'
complete -c usps-token -n 'not __usps_token_command >/dev/null' -l timeout -x -d 'give up after S seconds'
complete -c usps-token -n 'not __usps_token_command >/dev/null' -a bearer -d 'print the OAuth token'
complete -c usps-token -n 'not __usps_token_command >/dev/null' -a payment -d 'print the payment authorization token'
complete -c usps-token -n 'not __usps_token_command >/dev/null' -a headers -d 'print request headers, one a line'
complete -c usps-token -n 'not __usps_token_command >/dev/null' -a wait -d 'wait until the broker has good tokens'
complete -c usps-token -n 'not __usps_token_command >/dev/null' -a status -d 'show every token and what is wrong with it'
complete -c usps-token -n 'not __usps_token_command >/dev/null' -a exec -d 'run CMD with USPS_BEARER_TOKEN'
complete -c usps-token -n 'not __usps_token_command >/dev/null' -a explain -d 'say what an error is'
complete -c usps-token -n '__usps_token_is bearer payment headers wait status exec explain' -s h -l help -d 'print this help and exit'
complete -c usps-token -n '__usps_token_is bearer payment headers wait status exec explain' -l app -x -a '(__usps_token_value app)' -d 'which USPS application, where you may use several'
complete -c usps-token -n '__usps_token_is bearer payment headers status explain' -l json -d 'print what the broker said, as JSON'
complete -c usps-token -n '__usps_token_is bearer payment headers wait exec' -l min-valid -x -d 'only with at least S seconds of life left'
complete -c usps-token -n '__usps_token_is bearer payment headers wait status exec explain' -l socket -r -F -d 'the broker\'s socket'
complete -c usps-token -n '__usps_token_is bearer payment headers wait status exec explain' -l timeout -x -d 'give up after S seconds'
complete -c usps-token -n '__usps_token_is headers exec' -l payment -d 'with the payment token too, or that of NAME'
complete -c usps-token -n '__usps_token_is headers exec; and __usps_token_behind --payment' -a '(__usps_token_value payment)'
complete -c usps-token -n '__usps_token_is wait' -l slot -d 'wait for these tokens'
complete -c usps-token -n '__usps_token_is wait; and __usps_token_behind --slot' -a '(__usps_token_value slot)'
complete -c usps-token -n '__usps_token_is exec' -l fd -d 'exec'
complete -c usps-token -n '__usps_token_is exec' -l file -d 'exec'
complete -c usps-token -n '__usps_token_is payment; and __usps_token_has 0' -a '(__usps_token_value payment)'
complete -c usps-token -n '__usps_token_is exec' -a '(__usps_token_others)'
