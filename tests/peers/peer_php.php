#!/usr/bin/env php
<?php
// PHP's curl extension with CURLOPT_UNIX_SOCKET_PATH.

if (!extension_loaded('curl')) {
    fwrite(STDERR, "php-curl is not installed\n");
    exit(69);
}

$plan = json_decode(stream_get_contents(STDIN), true, flags: JSON_THROW_ON_ERROR);

function prepare(CurlHandle $handle, array $request, string $version, string $path): void
{
    curl_reset($handle);
    $lines = [];
    foreach ($request['headers'] as $name => $value) {
        $lines[] = "$name: $value";
    }
    $options = [
        CURLOPT_UNIX_SOCKET_PATH => $path,
        CURLOPT_URL => 'http://localhost' . $request['target'],
        CURLOPT_HTTP_VERSION => $version === '1.0' ? CURL_HTTP_VERSION_1_0 : CURL_HTTP_VERSION_1_1,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 30,
    ];
    if ($request['method'] === 'HEAD') {
        $options[CURLOPT_NOBODY] = true;
    } else {
        $options[CURLOPT_CUSTOMREQUEST] = $request['method'];
    }
    if ($request['chunked']) {
        $left = $request['body'];
        $options[CURLOPT_UPLOAD] = true;
        $options[CURLOPT_READFUNCTION] = function ($_handle, $_file, int $most) use (&$left): string {
            $piece = substr($left, 0, min($most, 100));
            $left = substr($left, strlen($piece));
            return $piece;
        };
        $lines[] = 'Transfer-Encoding: chunked';
    } elseif ($request['body'] !== null) {
        $options[CURLOPT_POSTFIELDS] = $request['body'];
    }
    curl_setopt_array($handle, $options);
    curl_setopt($handle, CURLOPT_HTTPHEADER, $lines);
}

function listen(CurlHandle $handle, array &$headers): void
{
    curl_setopt($handle, CURLOPT_HEADERFUNCTION, function ($_handle, string $line) use (&$headers): int {
        if (str_starts_with($line, 'HTTP/')) {
            $headers = [];
        } elseif (str_contains($line, ': ')) {
            [$name, $value] = explode(': ', rtrim($line, "\r\n"), 2);
            $headers[strtolower($name)] = $value;
        }
        return strlen($line);
    });
}

function answer(CurlHandle $handle, array $headers, string $body): array
{
    return [
        'status' => curl_getinfo($handle, CURLINFO_RESPONSE_CODE),
        'headers' => (object) $headers,
        'body' => $body,
    ];
}

function kept(array $plan, string $path): array
{
    $answers = [];
    $handle = curl_init();
    foreach ($plan['requests'] as $request) {
        prepare($handle, $request, $plan['version'], $path);
        $headers = [];
        listen($handle, $headers);
        $body = curl_exec($handle);
        if ($body === false) {
            throw new RuntimeException(curl_error($handle));
        }
        $answers[] = answer($handle, $headers, $body);
    }
    return $answers;
}

function together(array $plan, string $path): array
{
    $multi = curl_multi_init();
    $handles = [];
    $headers = [];
    foreach ($plan['requests'] as $number => $request) {
        $handles[$number] = curl_init();
        $headers[$number] = [];
        prepare($handles[$number], $request, $plan['version'], $path);
        listen($handles[$number], $headers[$number]);
        curl_multi_add_handle($multi, $handles[$number]);
    }
    do {
        curl_multi_exec($multi, $running);
        curl_multi_select($multi);
    } while ($running);
    $answers = [];
    foreach ($handles as $number => $handle) {
        $answers[] = answer($handle, $headers[$number], curl_multi_getcontent($handle));
    }
    return $answers;
}

$answers = $plan['how'] === 'kept' ? kept($plan, $argv[1]) : together($plan, $argv[1]);
echo json_encode($answers, JSON_THROW_ON_ERROR);
