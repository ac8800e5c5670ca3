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
    /** What the broker said of the last request's 401, or why it could not be told. */
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
        $hop = new Hop($this->tokens, $request, $this->payment);
        $next = $hop->request();
        do {
            try {
                $response = $this->inner->sendRequest($next);
            } catch (\Throwable $thrown) {
                throw $hop->undressed($thrown);
            }
            $next = $hop->after($response);
        } while ($next !== null);
        [$this->verdict, $this->error] = [$hop->verdict, $hop->error];

        return $hop->worded($response);
    }
}
