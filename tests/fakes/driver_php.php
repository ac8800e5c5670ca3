<?php

/**
 * Drives the PHP client: a question a line on standard input, its answer a line on standard output.
 * `language_clients.py` says which questions there are. Its clock can be moved.
 */

declare(strict_types=1);

namespace UspsTokenClient;

/** What Clock reads, some seconds ahead of the truth. */
function file_get_contents(string $path): string|false
{
    return (string) ((float) \file_get_contents($path) + ($GLOBALS['ahead'] ?? 0));
}

set_error_handler(function (int $level, string $what) {
    // As strict as Laravel's: whatever is not silenced is an error.
    return error_reporting() & $level ? throw new \ErrorException($what) : false;
});
spl_autoload_register(function (string $class) {
    require __DIR__ . '/../../clients/php/src/' . substr($class, strlen(__NAMESPACE__) + 1) . '.php';
});
require __DIR__ . '/psr_shapes.php';

function token_facts(Token $token): array
{
    return ['slot' => $token->slot, 'app' => $token->app, 'serial' => $token->serial, 'expires_at' => $token->expiresAt, 'scopes' => $token->scopes, 'degraded' => $token->degraded, 'value' => $token->value()];
}

function header_facts(Headers $headers): array
{
    return ['serials' => $headers->serials, 'app' => $headers->app, 'base_url' => $headers->baseUrl, 'degraded' => $headers->degraded, 'values' => $headers->all()];
}

function verdict_facts(?Verdict $verdict): ?array
{
    return $verdict === null ? null : ['code' => $verdict->code, 'outcome' => $verdict->outcome, 'retry' => $verdict->retry, 'detail' => $verdict->detail, 'fix' => $verdict->fix];
}

function printed(TokenClient $client): string
{
    $things = [$client->bearer(), $client->headers(true), $client];
    ob_start();
    var_dump($things);
    print_r($things);
    echo json_encode($things), print_r(array_map(fn ($thing) => (array) $thing, $things), true);
    // No string is within the objects, whoever looks at them by reflection, as dd() does.
    array_walk_recursive($things, fn ($thing) => var_export($thing));
    foreach ($things as $thing) {
        try {
            echo serialize($thing);
        } catch (\LogicException) {
            echo 'not stored';
        }
    }
    echo unserialize(serialize($client))->bearer()->serial;

    return ob_get_clean();
}

function forked(TokenClient $client): array
{
    [$mine, $theirs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    $child = pcntl_fork();
    if ($child === 0) {
        fwrite($theirs, json_encode(['value' => $client->bearer()->value(), 'pid' => getmypid()]));
        posix_kill(getmypid(), SIGKILL);
    }
    fclose($theirs);
    $said = stream_get_contents($mine);
    pcntl_waitpid($child, $status);

    return json_decode($said, true);
}

/** One call through the PSR-18 decorator. */
function fetched(TokenClient $client, array $asked): array
{
    $http = new HttpClient($client, new CurlClient(), array_key_exists('payment', $asked) ? ($asked['payment'] ?: null) : 'default');
    $body = new Body($asked['body'] ?? '', !($asked['stream'] ?? false));
    $response = $http->sendRequest(new Request($asked['method'] ?? 'GET', $asked['url'], $asked['headers'] ?? [], $body));

    return ['status' => $response->getStatusCode(), 'said' => $response->getReasonPhrase(), 'text' => $response->getBody()->read(65536), 'verdict' => verdict_facts($http->verdict), 'error' => $http->error?->kind];
}

function called(?TokenClient &$client, string $call, array $asked): mixed
{
    return match ($call) {
        'new' => $client = new TokenClient($asked['socket'] ?? null, $asked['app'] ?? null, $asked['timeout'] ?? 12.0),
        'advance' => $GLOBALS['ahead'] = ($GLOBALS['ahead'] ?? 0) + $asked['seconds'],
        'become' => posix_setegid($asked['uid']) && posix_seteuid($asked['uid']) ? null : throw new \RuntimeException('not allowed'),
        'bearer' => token_facts($client->bearer()),
        'payment' => token_facts($client->payment($asked['name'] ?? 'default')),
        'headers' => header_facts($client->headers($asked['payment'] ?? false)),
        'report' => verdict_facts($client->report($asked['status'], $asked['headers'], $asked['body'], $asked['path'], $asked['host'] ?? null, isset($asked['payment']) ? new Headers([], $asked['used'], $asked['payment']) : $asked['used'])),
        'status' => $client->status(),
        'unready' => $client->unready($asked['slots'] ?? [], $asked['min_valid'] ?? null),
        'wait_ready' => $client->waitReady($asked['slots'] ?? [], null, $asked['timeout'] ?? 60.0),
        'printed' => printed($client),
        'fetch' => fetched($client, $asked),
        'fork' => forked($client),
    };
}

$client = null;
while (($line = fgets(STDIN)) !== false) {
    $asked = json_decode($line, true);
    try {
        $gives = called($client, $asked['call'], array_diff_key($asked, ['call' => 0]));
        $said = ['gives' => $gives instanceof TokenClient ? null : $gives];
    } catch (BrokerError $error) {
        $said = ['error' => ['code' => $error->kind, 'permanent' => $error->permanent, 'retry_after' => $error->retryAfter, 'detail' => $error->detail, 'fix' => $error->fix, 'message' => $error->getMessage(), 'trace' => print_r($error->getTrace(), true)]];
    } catch (\Throwable $error) {
        $said = ['raised' => get_class($error) . ': ' . $error->getMessage() . print_r($error->getTrace(), true)];
    }
    fwrite(STDOUT, json_encode($said, JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR) . "\n");
}
