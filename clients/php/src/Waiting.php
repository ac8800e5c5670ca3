<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** Waiting until the tokens are there (section 9 says how for the command). */
final class Waiting
{
    private const FIRST_PAUSE = 0.0625;
    private const LONGEST_PAUSE = 0.5;
    /** Of how many tokens the reason is asked at a time: a host may have hundreds. */
    private const MOST_CAUSES = 8;

    public function __construct(private readonly Asker $asker)
    {
    }

    /**
     * @param callable(float): list<string> $unready names what is missing, within so many seconds
     *
     * @throws BrokerError what a person must mend at once, else the last reason
     */
    public function until(callable $unready, float $timeout): void
    {
        $deadline = Asker::seconds() + $timeout;
        $reason = '';
        for ($pause = self::FIRST_PAUSE;; $pause = min(2 * $pause, self::LONGEST_PAUSE)) {
            try {
                $names = $unready($deadline - Asker::seconds());
                if ($names === []) {
                    return;
                }
                $reason = $this->cause($names, $deadline) ?? 'no good token for ' . implode(', ', $names);
            } catch (BrokerError $error) {
                if ($error->permanent) {
                    throw $error;
                }
                $reason = $reason !== '' && $error->kind === 'timed_out' ? $reason : $error->getMessage();
            }
            if (Asker::seconds() + $pause >= $deadline) {
                throw new BrokerError('timed_out', "not ready after $timeout s: $reason", '`usps-token status` shows every token and its last trouble');
            }
            usleep((int) ($pause * 1e6));
        }
    }

    /** @param list<string> $names */
    private function cause(array $names, float $deadline): ?string
    {
        $told = null;
        foreach (array_slice($names, 0, self::MOST_CAUSES) as $name) {
            [$app, $slot] = explode('/', $name, 2) + [1 => null];
            $wait = $this->asker->wait($deadline - Asker::seconds());
            try {
                if ($slot !== null) {
                    $this->asker->ask('/v1/tokens/' . rawurlencode($slot), ['app' => $app, 'wait' => $wait], fn (Answer $answer) => $answer->document(), $wait + 1.0);
                }
            } catch (BrokerError $error) {
                if ($error->permanent) {
                    throw $error;
                }
                $told ??= $error->getMessage();
            }
        }

        return $told;
    }
}
