<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** Asks a broker until it answers: where its socket is, the pauses, the one deadline (sections 1 and 7). */
final class Asker
{
    private const SYSTEM_SOCKET = '/run/usps-token-broker/broker.sock';
    private const VERSION = '0.2.0';
    /** Bytes that the address of a Unix socket can hold (unix(7)). */
    private const LONGEST_PATH = 107;
    /** Seconds. A socket may be away for one before there is no broker: a restart takes a fifth of that. */
    private const ABSENCE = 1.0;
    private const FIRST_PAUSE = 0.01;
    private const LONGEST_PAUSE = 0.5;

    public function __construct(private readonly ?string $socket)
    {
    }

    /**
     * The answer, as `$read` takes it; it is told when, by Clock, the question was sent. A patient
     * caller asks again after passing trouble.
     *
     * @template T
     *
     * @param array<string, mixed>      $query without those that are null
     * @param callable(Answer, float): T $read
     *
     * @return T
     *
     * @throws BrokerError
     */
    public function ask(string $path, array $query, callable $read, float $timeout, bool $patient = true, string $etag = '', ?string $body = null): mixed
    {
        $message = self::message($path, $query, $etag, $body);
        $deadline = self::seconds() + $timeout;
        $absent = min($deadline, self::seconds() + self::ABSENCE);
        $heard = null;
        for ($pause = self::FIRST_PAUSE;; $pause = min(2 * $pause, self::LONGEST_PAUSE)) {
            $sentAt = Clock::now();
            try {
                return $read($this->exchange($message, $deadline), $sentAt);
            } catch (BrokerError $error) {
                if ($heard !== null && $error->kind === 'timed_out') {
                    throw $heard;
                }
                $heard = $error;
                $wait = max($pause, $error->retryAfter ?? 0.0);
                $limit = $error->kind === 'not_installed' ? $absent : $deadline;
                if (!$patient || !$error->passing || self::seconds() + $wait >= $limit) {
                    throw $error;
                }
            }
            usleep((int) ($wait * 1e6));
        }
    }

    /** Seconds on a clock that does not jump. */
    public static function seconds(): float
    {
        return hrtime(true) / 1e9;
    }

    /** @return list<string> a path that somebody named is the only one */
    private function places(): array
    {
        $named = $this->socket ?? (string) getenv('USPS_TOKEN_SOCKET');
        if ($named !== '') {
            return [$named];
        }
        $own = (string) getenv('XDG_RUNTIME_DIR');

        return [self::SYSTEM_SOCKET, ...($own === '' ? [] : ["$own/usps-token-broker/broker.sock"])];
    }

    private static function message(string $path, array $query, string $etag, ?string $body): string
    {
        $pairs = http_build_query(array_filter($query, fn ($value) => $value !== null), '', '&', PHP_QUERY_RFC3986);
        $lines = [
            ($body === null ? 'GET ' : 'POST ') . $path . ($pairs === '' ? '' : "?$pairs") . ' HTTP/1.1',
            'Host: usps-token-broker',
            'User-Agent: usps-token-client-php/' . self::VERSION,
            'Accept: application/json',
            'Connection: close',
        ];
        if ($etag !== '') {
            $lines[] = "If-None-Match: $etag";
        }
        if ($body !== null) {
            array_push($lines, 'Content-Type: application/json', 'Content-Length: ' . strlen($body));
        }

        return implode("\r\n", $lines) . "\r\n\r\n$body";
    }

    private function exchange(string $message, float $deadline): Answer
    {
        foreach ($this->places() as $path) {
            if (strlen($path) > self::LONGEST_PATH || str_contains($path, "\0")) {
                throw new BrokerError('unreachable', 'the path of a socket has at most 107 bytes, and no NUL', 'correct USPS_TOKEN_SOCKET');
            }
            // Connecting never takes time: it works, or fails at once.
            $stream = @stream_socket_client("unix://$path", $number, $words, 1.0);
            if ($stream !== false) {
                try {
                    stream_set_blocking($stream, false);

                    return self::talk($stream, $path, $message, $deadline);
                } finally {
                    fclose($stream);
                }
            }
            if ($number !== 2 && $number !== 20) {
                throw BrokerError::unreachable($path, $number, $words);
            }
        }
        throw BrokerError::notInstalled($this->places());
    }

    /** @param resource $stream */
    private static function talk($stream, string $path, string $message, float $deadline): Answer
    {
        $data = '';
        while (true) {
            $left = max(0.0, $deadline - self::seconds());
            [$read, $write, $none] = [[$stream], $message === '' || $data !== '' ? [] : [$stream], null];
            // A signal interrupts it; then the deadline decides.
            if (!@stream_select($read, $write, $none, (int) $left, (int) (fmod($left, 1.0) * 1e6)) && self::seconds() >= $deadline) {
                throw BrokerError::timedOut($path);
            }
            // Whom it refuses the broker tells so before it was asked, and hangs up: read first.
            $piece = (string) @fread($stream, 65536);
            $data .= $piece;
            $answer = Answer::of($data, $piece === '' && feof($stream));
            if ($answer !== null) {
                return $answer;
            }
            if ($write !== [] && $data === '') {
                $sent = @fwrite($stream, $message);
                // It hung up before it read all. Its refusal may lie in our buffer already.
                $message = $sent === false ? '' : substr($message, $sent);
            }
        }
    }
}
