<?php

declare(strict_types=1);

namespace UspsTokenClient;

/**
 * Filters for WordPress and WooCommerce: `wp_remote_request` and its kin get the headers for the one
 * USPS host, and nobody else does: not the arguments either, which other plugins see and log. Without
 * a token they give a WP_Error that says what to do.
 */
final class WordPress
{
    private const USED = 'usps_token_headers';
    private const AGAIN = 'usps_token_again';
    private ?BrokerError $error = null;
    /** What goes onto the call that is about to be made, and what knows whether it is for the one host. */
    private ?Headers $next = null;
    private ?Headers $own = null;

    /**
     * @param string      $host    the broker is asked for calls of this host alone, not for each call of the site
     * @param string|null $payment name of the payment token for label calls, null for none
     */
    public function __construct(private readonly TokenClient $tokens, private readonly string $host = 'apis.usps.com', private readonly ?string $payment = 'default')
    {
    }

    /** Put the filters in; last, so that no other one takes the headers off again. */
    public function hook(): void
    {
        add_filter('http_request_args', $this->dress(...), PHP_INT_MAX, 2);
        add_filter('pre_http_request', $this->refuse(...), PHP_INT_MAX, 3);
        add_action('requests-requests.before_request', $this->putOn(...), PHP_INT_MAX, 2);
        add_filter('http_response', $this->look(...), PHP_INT_MIN, 3);
    }

    /** `http_request_args`. */
    public function dress(array $args, string $url): array
    {
        $this->error = null;
        if (strcasecmp((string) parse_url($url, PHP_URL_HOST), $this->host) !== 0) {
            return $args;
        }
        try {
            $own = $this->own = $this->tokens->headers();
            if (!$own->areFor($url)) {
                return $args;
            }
            $wantsPayment = $this->payment !== null && $own->isLabelCall($url);
            $used = $args[self::AGAIN] ?? ($wantsPayment ? $this->tokens->headers($this->payment) : $own);
        } catch (BrokerError $error) {
            $this->error = $error;

            return $args;
        }
        $headers = $args['headers'] ?? [];
        $headers = is_array($headers) ? $headers : \WP_Http::processHeaders($headers)['headers'];
        $ours = array_map(strtolower(...), array_keys($used->all()));
        $others = array_filter($headers, fn ($name) => !in_array(strtolower((string) $name), $ours, true), ARRAY_FILTER_USE_KEY);

        // WordPress would carry the headers to whatever host a redirect names.
        return ['headers' => $others, 'redirection' => 0, self::USED => $used] + $args;
    }

    /** `pre_http_request`: a call for which there was no token is not made. */
    public function refuse(mixed $pre, array $args, string $url): mixed
    {
        $error = $this->error;
        $this->error = null;
        $this->next = $pre === false ? $args[self::USED] ?? null : null;

        return $error === null ? $pre : new \WP_Error('usps_token_' . $error->kind, $error->getMessage());
    }

    /** `requests-requests.before_request`, which nobody logs; here too they are for the one host alone. */
    public function putOn(string &$url, array &$headers): void
    {
        $headers = ($this->next !== null && $this->own?->areFor($url) ? $this->next->all() : []) + $headers;
        $this->next = null;
    }

    /** `http_response`: a 401 is told to the broker, and the call made once more where that helps. */
    public function look(array $response, array $args, string $url): mixed
    {
        $used = $args[self::USED] ?? null;
        if ($used === null || ($response['response']['code'] ?? 0) !== 401) {
            return $response;
        }
        $headers = [];
        foreach ($response['headers'] as $name => $value) {
            $headers[$name] = $value;
        }
        try {
            $verdict = $this->tokens->report(401, $headers, (string) $response['body'], (string) parse_url($url, PHP_URL_PATH), parse_url($url, PHP_URL_HOST), $used);
        } catch (BrokerError $error) {
            return self::worded($response, $error);
        }
        if (!$verdict->retry || isset($args[self::AGAIN])) {
            return self::worded($response, $verdict);
        }

        return wp_remote_request($url, [self::AGAIN => $verdict->headers] + $args);
    }

    private static function worded(array $response, Verdict|BrokerError $said): array
    {
        $response['response']['message'] = BrokerError::phrase($said);

        return $response;
    }
}
