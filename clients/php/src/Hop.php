<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** One request to one host, as PSR-7 has it: what goes on it, and what its answer leads to. */
final class Hop
{
    /** What the broker said of a 401, or why it could not be told. */
    public ?Verdict $verdict = null;
    public ?BrokerError $error = null;
    private ?Headers $used = null;
    private object $dressed;

    /**
     * @param \Psr\Http\Message\RequestInterface $request
     * @param string|null                        $payment name of the payment token for label calls
     *
     * @throws BrokerError
     */
    public function __construct(private readonly TokenClient $tokens, private readonly object $request, ?string $payment)
    {
        $url = (string) $request->getUri();
        $own = $tokens->headers();
        if (!$own->areFor($url)) {
            $this->dressed = self::forStranger($request, $own);

            return;
        }
        $this->used = $payment !== null && $own->isLabelCall($url) ? $tokens->headers($payment) : $own;
        $this->dressed = self::with($request, $this->used);
    }

    /** @return \Psr\Http\Message\RequestInterface to send */
    public function request(): object
    {
        return $this->dressed;
    }

    /**
     * What to send after this answer; null when it is the result. Tells the broker of a 401.
     *
     * @param \Psr\Http\Message\ResponseInterface $response
     */
    public function after(object $response): ?object
    {
        $isFirst = $this->verdict === null;
        if ($this->used === null || $response->getStatusCode() !== 401) {
            return null;
        }
        $verdict = $this->tell($response, $this->used);
        if (!$isFirst || $verdict?->headers === null || !$verdict->retry || !self::isKept($this->request->getBody())) {
            return null;
        }
        $this->used = $verdict->headers;

        return self::with($this->request, $verdict->headers);
    }

    /**
     * The result, whose reason phrase says what the broker said of it.
     *
     * @param \Psr\Http\Message\ResponseInterface $response
     *
     * @return \Psr\Http\Message\ResponseInterface
     */
    public function worded(object $response): object
    {
        $said = $this->error ?? $this->verdict;

        return $said === null || $response->getStatusCode() !== 401 ? $response : $response->withStatus(401, BrokerError::phrase($said));
    }

    /**
     * What a library made of a request, without our headers: its exceptions and statistics name the
     * request, and are logged.
     *
     * @template T of object
     *
     * @param T $made
     *
     * @return T
     */
    public function undressed(object $made): object
    {
        for ($one = $made; $one !== null; $one = $one instanceof \Throwable ? $one->getPrevious() : null) {
            Frames::renameRequests($one, $this->without(...));
            if ($one instanceof \Throwable) {
                Frames::forgetArguments($one);
            }
        }

        return $made;
    }

    private function without(object $request): object
    {
        foreach ($this->used ?? [] as $name => $value) {
            $request = $request->getHeaderLine($name) === $value ? $request->withoutHeader($name) : $request;
        }

        return $request;
    }

    private function tell(object $response, Headers $used): ?Verdict
    {
        $body = $response->getBody();
        // One that cannot be read twice is the caller's.
        $text = $body->isSeekable() ? $body->read(Report::MOST_BODY) : '';
        if ($body->isSeekable()) {
            $body->rewind();
        }
        $uri = $this->request->getUri();
        try {
            return $this->verdict = $this->tokens->report($response->getStatusCode(), $response->getHeaders(), $text, $uri->getPath(), $uri->getHost(), $used);
        } catch (BrokerError $error) {
            $this->error = $error;

            return null;
        }
    }

    private static function with(object $request, Headers $headers): object
    {
        foreach ($headers as $name => $value) {
            $request = $request->withHeader($name, $value);
        }

        return $request;
    }

    /** Without a token that the caller, or a redirect, may have carried over. */
    private static function forStranger(object $request, Headers $ours): object
    {
        $token = substr($ours->all()[Headers::AUTHORIZATION], strlen('Bearer '));
        if (str_contains($request->getHeaderLine(Headers::AUTHORIZATION), $token)) {
            $request = $request->withoutHeader(Headers::AUTHORIZATION);
        }

        return $request->withoutHeader(Headers::PAYMENT);
    }

    /** Whether the body can be sent again; then it is at its beginning. */
    private static function isKept(object $body): bool
    {
        if ($body->isSeekable()) {
            $body->rewind();
        }

        return $body->isSeekable() || $body->getSize() === 0;
    }
}
