<?php

declare(strict_types=1);

namespace UspsTokenClient;

/**
 * The same as HttpClient, for a handler stack of Guzzle and so for Laravel's Http: pushed onto it, it
 * sees each hop of a redirect, and none of its headers travel with one.
 */
final class GuzzleMiddleware
{
    /** @param string|null $payment name of the payment token for label calls, null for none */
    public function __construct(private readonly TokenClient $tokens, private readonly ?string $payment = 'default')
    {
    }

    public function __invoke(callable $handler): callable
    {
        return function (object $request, array $options) use ($handler): object {
            $hop = new Hop($this->tokens, $request, $this->payment);
            $again = function (object $response) use (&$again, $hop, $handler, $options): object {
                $next = $hop->after($response);

                return $next === null ? $response : $handler($next, $options)->then($again);
            };

            return $handler($hop->request(), $options)->then($again);
        };
    }
}
