<?php

/** As much of PSR-7 and PSR-18 as a call to USPS needs, over curl: what the decorator wraps in tests. */

declare(strict_types=1);

namespace UspsTokenClient;

final class Body
{
    private int $at = 0;

    public function __construct(private string $text, private bool $seekable = true)
    {
    }

    public function isSeekable(): bool
    {
        return $this->seekable;
    }

    public function rewind(): void
    {
        $this->at = $this->seekable ? 0 : throw new \RuntimeException('not seekable');
    }

    public function getSize(): ?int
    {
        return $this->seekable ? strlen($this->text) : null;
    }

    public function read(int $length): string
    {
        $piece = substr($this->text, $this->at, $length);
        $this->at += strlen($piece);

        return $piece;
    }
}

final class Uri
{
    public function __construct(private string $text)
    {
    }

    public function getHost(): string
    {
        return parse_url($this->text, PHP_URL_HOST);
    }

    public function getPath(): string
    {
        return (string) parse_url($this->text, PHP_URL_PATH);
    }

    public function __toString(): string
    {
        return $this->text;
    }
}

final class Request
{
    public function __construct(public string $method, private string $url, public array $headers, private Body $body)
    {
    }

    public function getUri(): Uri
    {
        return new Uri($this->url);
    }

    public function getBody(): Body
    {
        return $this->body;
    }

    public function getHeaderLine(string $name): string
    {
        return array_change_key_case($this->headers)[strtolower($name)] ?? '';
    }

    public function withHeader(string $name, string $value): self
    {
        $twin = $this->withoutHeader($name);
        $twin->headers[$name] = $value;

        return $twin;
    }

    public function withoutHeader(string $name): self
    {
        $twin = clone $this;
        $twin->headers = array_filter($this->headers, fn ($one) => strcasecmp($one, $name) !== 0, ARRAY_FILTER_USE_KEY);

        return $twin;
    }
}

final class Response
{
    public function __construct(private int $status, private array $headers, private Body $body, private string $reason = '')
    {
    }

    public function withStatus(int $code, string $reasonPhrase = ''): self
    {
        return new self($code, $this->headers, $this->body, $reasonPhrase);
    }

    public function getReasonPhrase(): string
    {
        return $this->reason;
    }

    public function getStatusCode(): int
    {
        return $this->status;
    }

    public function getHeaders(): array
    {
        return $this->headers;
    }

    public function getBody(): Body
    {
        return $this->body;
    }
}

final class CurlClient
{
    public function sendRequest(Request $request): Response
    {
        $headers = [];
        $curl = curl_init((string) $request->getUri());
        curl_setopt_array($curl, [
            CURLOPT_CUSTOMREQUEST => $request->method,
            CURLOPT_HTTPHEADER => array_map(fn ($name) => "$name: {$request->headers[$name]}", array_keys($request->headers)),
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_HEADERFUNCTION => function ($curl, string $line) use (&$headers): int {
                [$name, $value] = explode(':', $line, 2) + [1 => null];
                if ($value !== null) {
                    $headers[$name][] = trim($value);
                }

                return strlen($line);
            },
        ] + ($request->method === 'GET' ? [] : [CURLOPT_POSTFIELDS => $request->getBody()->read(1 << 20)]));
        $text = curl_exec($curl);

        return $text === false ? throw new \RuntimeException(curl_error($curl)) : new Response(curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $headers, new Body($text));
    }
}
