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
            $told = $options['on_stats'] ?? null;
            if ($told !== null) {
                // Laravel keeps them in its responses.
                $options['on_stats'] = fn (object $stats) => $told($hop->undressed($stats));
            }
            $send = function (object $dressed) use (&$send, $hop, $handler, $options): object {
                $after = function (object $response) use ($send, $hop): object {
                    $next = $hop->after($response);

                    return $next === null ? $hop->worded($response) : $send($next);
                };

                return $handler($dressed, $options)->then($after, fn (\Throwable $thrown) => throw $hop->undressed($thrown));
            };

            return $send($hop->request());
        };
    }
}
