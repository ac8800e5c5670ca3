<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** One question to the broker, one answer: HTTP/1.1 on its Unix socket (sections 1 and 2). */
final class Wire
{
    private const SYSTEM_SOCKET = '/run/usps-token-broker/broker.sock';
    private const VERSION = '0.2.0';
    /** Bytes that the address of a Unix socket can hold (unix(7)). */
    private const LONGEST_PATH = 107;

    public function __construct(private readonly ?string $socket)
    {
    }

    /**
     * The answer of the first socket that exists. Throws BrokerError.
     *
     * @param array<string, mixed> $query    without those that are null
     * @param float                $deadline by Asker::seconds()
     */
    public function __invoke(string $path, array $query, string $etag, ?array $body, float $deadline): Answer
    {
        $message = self::message($path, $query, $etag, $body === null ? null : Report::encode($body));
        foreach ($this->places() as $place) {
            if (strlen($place) > self::LONGEST_PATH || str_contains($place, "\0")) {
                throw new BrokerError('unreachable', 'the path of a socket has at most 107 bytes, and no NUL', 'correct USPS_TOKEN_SOCKET');
            }
            // Connecting never takes time: it works, or fails at once.
            $stream = @stream_socket_client("unix://$place", $number, $words, 1.0);
            if ($stream !== false) {
                try {
                    stream_set_blocking($stream, false);

                    return self::talk($stream, $place, $message, $deadline);
                } finally {
                    fclose($stream);
                }
            }
            if ($number !== 2 && $number !== 20) {
                throw BrokerError::unreachable($place, $number, $words);
            }
        }
        throw BrokerError::notInstalled($this->places());
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

    /** @param resource $stream */
    private static function talk($stream, string $path, string $message, float $deadline): Answer
    {
        $data = '';
        while (true) {
            $left = max(0.0, $deadline - Asker::seconds());
            [$read, $write, $none] = [[$stream], $message === '' || $data !== '' ? [] : [$stream], null];
            // A signal interrupts it; then the deadline decides.
            if (!@stream_select($read, $write, $none, (int) $left, (int) (fmod($left, 1.0) * 1e6)) && Asker::seconds() >= $deadline) {
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
