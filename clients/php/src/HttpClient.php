<?php

declare(strict_types=1);

namespace UspsTokenClient;

/**
 * Wraps any PSR-18 client: the headers go on for the app's own host alone, a 401 is told to the
 * broker, and the request sent once more where that helps.
 *
 * PSR-18 is not required, so it is not named: what is wrapped has `sendRequest`, and so has this.
 * As PSR-18 wants it, the wrapped one follows no redirects: whoever follows them sends each hop
 * through here.
 */
final class HttpClient
{
    /** What the broker said of the last 401, or why it could not be told. */
    public ?Verdict $verdict = null;
    public ?BrokerError $error = null;

    /**
     * @param object      $inner   a Psr\Http\Client\ClientInterface
     * @param string|null $payment name of the payment token for label calls, null for none
     */
    public function __construct(private readonly TokenClient $tokens, private readonly object $inner, private readonly ?string $payment = 'default')
    {
    }

    /**
     * @param \Psr\Http\Message\RequestInterface $request
     *
     * @return \Psr\Http\Message\ResponseInterface
     *
     * @throws BrokerError and what the wrapped one throws
     */
    public function sendRequest(object $request): object
    {
        $this->verdict = $this->error = null;
        $url = (string) $request->getUri();
        $used = $this->tokens->headers();
        if (!$used->areFor($url)) {
            return $this->inner->sendRequest(self::forStranger($request, $used));
        }
        if ($this->payment !== null && $used->isLabelCall($url)) {
            $used = $this->tokens->headers($this->payment);
        }
        $response = $this->inner->sendRequest(self::with($request, $used));
        $verdict = $response->getStatusCode() === 401 ? $this->tell($request, $response, $used) : null;
        if ($verdict?->headers === null || !$verdict->retry || !self::isKept($request->getBody())) {
            return $response;
        }
        $again = $this->inner->sendRequest(self::with($request, $verdict->headers));
        if ($again->getStatusCode() === 401) {
            $this->tell($request, $again, $verdict->headers);
        }

        return $again;
    }

    private function tell(object $request, object $response, Headers $used): ?Verdict
    {
        $body = $response->getBody();
        // One that cannot be read twice is the caller's.
        $text = $body->isSeekable() ? $body->read(Report::MOST_BODY) : '';
        if ($body->isSeekable()) {
            $body->rewind();
        }
        $uri = $request->getUri();
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
