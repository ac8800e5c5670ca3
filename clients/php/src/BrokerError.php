<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** No token, and why. `kind` is for programs, `detail` (what) and `fix` (what to do) for people. */
final class BrokerError extends \RuntimeException
{
    private const PERMANENT = [
        'bad_request', 'too_large', 'forbidden', 'scope_missing', 'unknown_app', 'unknown_slot',
        'payment_not_configured', 'credentials_refused', 'payment_refused', 'no_permission',
    ];
    private const PASSING = ['restarting', 'too_many_requests', 'busy', 'cut_answer'];
    private const START = '`systemctl status usps-token-broker.socket usps-token-broker` tells why';

    /** Asking again is useless until a person acts. */
    public readonly bool $permanent;
    /** Asking again at once may help; the client has done that until its deadline. */
    public readonly bool $passing;

    /**
     * @param string     $kind          the `code` of the protocol; Exception has a number of that name
     * @param float|null $retryAfter    seconds
     * @param int|null   $status        the broker's HTTP status, where it answered
     * @param float|null $nextAttemptAt Unix seconds
     */
    public function __construct(
        public readonly string $kind,
        public readonly string $detail,
        public readonly string $fix = '',
        public readonly ?float $retryAfter = null,
        public readonly ?int $status = null,
        public readonly string $reason = '',
        public readonly ?float $nextAttemptAt = null,
        bool $passing = false,
    ) {
        $named = $reason === '' || $reason === $kind ? $kind : "$kind: $reason";
        parent::__construct("$detail [$named]" . ($fix === '' ? '' : "; $fix"));
        Frames::forgetArguments($this);
        $this->permanent = in_array($kind, self::PERMANENT, true);
        $this->passing = $passing || in_array($kind, self::PASSING, true);
    }

    public static function bad(string $what, bool $passing = false): self
    {
        $fix = 'see that client and broker are of versions that fit each other';

        return new self('bad_answer', "the broker's answer makes no sense: $what", $fix, passing: $passing);
    }

    public static function notABroker(string $why): self
    {
        $detail = "what answers on the broker's socket is not a usps-token-broker: $why";

        return new self('not_a_broker', $detail, 'see who listens there (`ss -xlp`), and what USPS_TOKEN_SOCKET names');
    }

    public static function cut(): self
    {
        $fix = 'it may just have been restarted; if this goes on, `journalctl -u usps-token-broker`';

        return new self('cut_answer', 'the broker closed the connection before its answer was complete', $fix);
    }

    public static function timedOut(string $path): self
    {
        $fix = self::START . '; give the client a longer `timeout` if USPS is only slow';

        return new self('timed_out', "the broker at $path gave no answer in time", $fix);
    }

    /** @param list<string> $paths where nothing is; passing where the socket's directory is there */
    public static function notInstalled(array $paths): self
    {
        $detail = 'no token broker on this host: there is no socket at ' . implode(' or ', $paths);
        $passing = array_filter($paths, fn ($path) => @is_dir(dirname($path))) !== [];

        return new self('not_installed', $detail, 'install and start usps-token-broker, or name its socket in USPS_TOKEN_SOCKET', passing: $passing);
    }

    /** What a failed connect means, by its errno. */
    public static function unreachable(string $path, int $number, string $words): self
    {
        $isFile = @file_exists($path) && @filetype($path) !== 'socket';

        return match (true) {
            $number === 111 && $isFile => new self('not_running', "$path is not a socket, so no broker listens there", 'correct USPS_TOKEN_SOCKET'),
            $number === 111 => new self('not_running', "the token broker is not running: nobody listens on $path", self::START, passing: true),
            $number === 11 => new self('busy', "the broker at $path has more callers queued than it can take", 'something on this host asks in a loop'),
            $number === 13 || $number === 1 => new self('no_permission', "the system does not let this process open $path" . self::who(), 'let its directory be entered by all; who may have which token, the broker decides'),
            $number === 91 => self::notABroker('it is a socket of another kind'),
            default => new self('unreachable', "cannot connect to the broker at $path: $words"),
        };
    }

    /** The error that an answer without a token is. */
    public static function ofAnswer(#[\SensitiveParameter] Answer $answer): self
    {
        $data = json_decode($answer->body, true);
        $kind = is_array($data) ? $data['code'] ?? null : null;
        if (!is_string($kind) || preg_match('/^[!-~]{1,64}$/D', $kind) !== 1) {
            return self::bad("HTTP {$answer->status} without a `code`");
        }
        if ($kind === 'not_found' || $kind === 'method_not_allowed') {
            return self::bad("$kind, so this broker is older than this client");
        }
        $header = $answer->headers['retry-after'] ?? '';
        $after = $data['retry_after'] ?? (preg_match('/^\d{1,9}$/D', $header) === 1 ? (int) $header : null);
        $at = $data['next_attempt_at'] ?? null;

        return new self(
            $kind,
            self::words($data['detail'] ?? null) ?: "the broker answered $kind",
            self::words($data['fix'] ?? null),
            is_int($after) || is_float($after) ? max(0.0, (float) $after) : null,
            $answer->status,
            self::words($data['reason'] ?? null) ?: $kind,
            is_int($at) || is_float($at) ? (float) $at : null,
        );
    }

    /** A sentence for people, fit for a terminal and of bounded length. */
    public static function words(mixed $value): string
    {
        return is_string($value) ? (string) preg_replace('/[\p{C}\x{2028}\x{2029}]/u', ' ', substr($value, 0, 2000)) : '';
    }

    /** The reason phrase of a 401 that this is said of: what a library's own exception shows. */
    public static function phrase(Verdict|self $said): string
    {
        $error = $said instanceof self ? $said : new self($said->code, $said->detail, $said->fix, reason: $said->reason);

        return (string) preg_replace('/[^ -~]+/', '?', 'Unauthorized: ' . $error->getMessage());
    }

    private static function who(): string
    {
        return function_exists('posix_geteuid') ? ' (uid ' . posix_geteuid() . ', gid ' . posix_getegid() . ')' : '';
    }
}
