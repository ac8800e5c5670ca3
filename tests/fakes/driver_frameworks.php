<?php

/**
 * Runs the snippets of clients/php/README.md in the real Laravel Http, Guzzle and WordPress: `FRAMEWORK`
 * is the argument, a call is a line on standard input, its answer a line on standard output.
 * `language_clients.py` says how; only `fetch` is there.
 */

declare(strict_types=1);

use GuzzleHttp\Psr7;
use Illuminate\Http\Client\Factory;
use Illuminate\Support\Facades\Http;

const SHARED = '/usr/share/php/';

error_reporting(E_ALL & ~E_DEPRECATED);
spl_autoload_register(function (string $class) {
    if (str_starts_with($class, 'UspsTokenClient\\')) {
        require __DIR__ . '/../../clients/php/src/' . substr($class, strlen('UspsTokenClient\\')) . '.php';
    }
});

/** The block of the README that has this in it. */
function snippet(string $what): string
{
    preg_match_all('/```php\n(.*?)```/s', file_get_contents(__DIR__ . '/../../clients/php/README.md'), $found);

    return current(array_filter($found[1], fn ($text) => str_contains($text, $what)));
}

/** Classes and functions that are not there end a driver with EX_UNAVAILABLE. */
function needed(string ...$paths): void
{
    foreach ($paths as $path) {
        is_file($path) || exit(69);
        require_once $path;
    }
}

function laravel(): Closure
{
    needed(SHARED . 'GuzzleHttp/autoload.php', SHARED . 'Illuminate/Http/autoload.php');
    Http::swap(new Factory());
    eval('use Illuminate\Support\Facades\Http; ' . snippet('Http::macro'));

    return function (array $asked): array {
        // The macro has the base URL; a whole URL goes to wherever it says.
        $http = str_starts_with($asked['url'], '/') ? Http::usps() : Http::usps()->baseUrl('');
        $options = isset($asked['body']) ? ['body' => $asked['body']] : [];
        $response = $http->withHeaders($asked['headers'] ?? [])->send($asked['method'] ?? 'GET', $asked['url'], $options);

        return ['status' => $response->status(), 'said' => $response->reason(), 'text' => ($asked['printed'] ?? false) ? print_r($response->transferStats, true) : $response->body()];
    };
}

function psr18(): Closure
{
    needed(SHARED . 'GuzzleHttp/autoload.php');

    return function (array $asked): array {
        $http = new UspsTokenClient\HttpClient(new UspsTokenClient\TokenClient(), new GuzzleHttp\Client());
        $response = $http->sendRequest(new Psr7\Request($asked['method'] ?? 'GET', $asked['url'], $asked['headers'] ?? [], $asked['body'] ?? ''));

        return ['status' => $response->getStatusCode(), 'said' => $response->getReasonPhrase(), 'text' => (string) $response->getBody()];
    };
}

/** WordPress's own HTTP code and filters, with a stand-in for the object cache and the options alone. */
function wordpress(): Closure
{
    define('ABSPATH', getenv('WORDPRESS') . '/');
    define('WPINC', 'wp-includes');
    define('WP_DEBUG', false);
    define('WP_CONTENT_DIR', '/nonexistent');
    eval('function wp_cache_get(string $key) { return $key === "alloptions" || $key === "notoptions" ? ["x" => 1] : false; }
        function wp_cache_add() {} function wp_cache_set() {} function get_bloginfo() { return "a shop"; }');
    $files = ['compat', 'plugin', 'load', 'class-wp-error', 'functions', 'formatting', 'kses', 'l10n', 'pomo/translations', 'class-wp-http',
        'class-wp-http-streams', 'class-wp-http-curl', 'class-wp-http-proxy', 'class-wp-http-cookie', 'class-wp-http-encoding',
        'class-wp-http-response', 'class-wp-http-requests-response', 'class-wp-http-requests-hooks', 'http'];
    needed(...array_map(fn ($name) => ABSPATH . WPINC . "/$name.php", $files));
    foreach (['siteurl' => 'http://shop.example', 'home' => 'http://shop.example', 'blog_charset' => 'UTF-8'] as $name => $value) {
        add_filter("pre_option_$name", fn () => $value);
    }
    // What a plugin that logs all calls is given.
    $logged = '';
    add_action('http_api_debug', function (...$given) use (&$logged) { $logged .= print_r($given, true); }, 10, 5);
    add_filter('pre_http_request', function ($pre, ...$given) use (&$logged) { $logged .= print_r($given, true); return $pre; }, 10, 3);
    eval(str_replace('apis.usps.com', '127.0.0.1', snippet('WordPress(')));

    return function (array $asked) use (&$logged): array {
        $logged = '';
        $response = wp_remote_request($asked['url'], ['method' => $asked['method'] ?? 'GET', 'headers' => $asked['headers'] ?? [], 'body' => $asked['body'] ?? null, 'reject_unsafe_urls' => $asked['blocked'] ?? false]);
        if (is_wp_error($response)) {
            return ['status' => $response->get_error_code(), 'text' => $response->get_error_message()];
        }

        return ['status' => $response['response']['code'], 'said' => wp_remote_retrieve_response_message($response), 'text' => ($asked['printed'] ?? false) ? $logged : $response['body']];
    };
}

/** All that a log of an exception may hold: its frames, and the request it names. */
function printed(\Throwable $error): string
{
    $request = method_exists($error, 'getRequest') ? print_r($error->getRequest(), true) : '';
    $previous = $error->getPrevious();

    return "$error" . print_r($error->getTrace(), true) . $request . ($previous === null ? '' : printed($previous));
}

$fetch = $argv[1]();
while (($line = fgets(STDIN)) !== false) {
    try {
        $said = ['gives' => $fetch(json_decode($line, true))];
    } catch (\Throwable $error) {
        $said = ['raised' => get_class($error) . ': ' . $error->getMessage() . ' ' . printed($error)];
    }
    fwrite(STDOUT, json_encode($said, JSON_THROW_ON_ERROR) . "\n");
}
