<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** USPS_TOKEN_STATIC: tokens for developers' machines and tests, when there is no broker (section 8). */
final class StaticTokens
{
    private const APP = 'static';
    private const FIX = 'USPS_TOKEN_STATIC is a bearer token, or JSON: {"bearer": "…", "payment": "…" or {"NAME": "…"}, "base_url": "https://…"}';

    /** @param array<string, Token> $tokens by slot */
    private function __construct(private readonly array $tokens, private readonly string $baseUrl)
    {
    }

    /** The tokens of this text. Throws InvalidArgumentException, which does not quote it. */
    public static function of(#[\SensitiveParameter] string $text): self
    {
        $given = str_starts_with($text, '{') ? json_decode($text, true) : ['bearer' => $text];
        $payment = $given['payment'] ?? [];
        $base = $given['base_url'] ?? 'https://apis.usps.com';
        $tokens = [];
        try {
            $values = ['bearer' => $given['bearer'] ?? null];
            foreach (is_array($payment) ? $payment : ['default' => $payment] as $name => $value) {
                $values[Reading::paymentSlot((string) $name)] = $value;
            }
            foreach ($values as $slot => $value) {
                $tokens[$slot] = Reading::token($slot, ['slot' => $slot, 'app' => self::APP, 'token' => $value, 'serial' => 1, 'expires_at' => 1e14], null);
            }
        } catch (BrokerError | \InvalidArgumentException) {
            $tokens = [];
        }

        return $tokens !== [] && is_string($base) ? new self($tokens, $base) : throw new \InvalidArgumentException(self::FIX);
    }

    public function token(string $slot): Token
    {
        return $this->tokens[$slot] ?? throw new BrokerError('payment_not_configured', "there is no static token for $slot", self::FIX);
    }

    public function headers(?string $payment): Headers
    {
        $values = [Headers::AUTHORIZATION => 'Bearer ' . $this->token('bearer')->value()];
        if ($payment !== null) {
            $values[Headers::PAYMENT] = $this->token(Reading::paymentSlot($payment))->value();
        }

        return new Headers($values, ['bearer' => 1] + ($payment === null ? [] : ['payment' => 1]), $payment, self::APP, $this->baseUrl);
    }

    public function verdict(int $status): Verdict
    {
        return new Verdict(self::APP, self::APP, "USPS answered $status, and a static token is not renewed", 'put a new token into USPS_TOKEN_STATIC, or run a broker', 'failed', false);
    }

    /** @return array<string, mixed> */
    public function status(): array
    {
        return ['static' => true, 'slots' => array_keys($this->tokens)];
    }

    /**
     * @param list<string> $slots
     *
     * @return list<string> nothing: nobody will ever bring one that was not given, so that throws
     */
    public function unready(array $slots): array
    {
        array_map($this->token(...), $slots);

        return [];
    }
}
