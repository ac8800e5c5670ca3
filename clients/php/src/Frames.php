<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** Takes out of exceptions what their readers may not see: many are printed whole, into logs. */
final class Frames
{
    /** Its frames hold what was passed to them, tokens too, where `zend.exception_ignore_args` is off. */
    public static function forgetArguments(\Throwable $thrown): void
    {
        $bare = array_map(fn ($frame) => array_diff_key($frame, ['args' => 0]), $thrown->getTrace());
        $class = $thrown instanceof \Error ? \Error::class : \Exception::class;
        (new \ReflectionProperty($class, 'trace'))->setValue($thrown, $bare);
    }

    /**
     * Put the caller's request where a library put the one with tokens: exceptions and statistics name it.
     *
     * @template T of object
     *
     * @param T $holder
     *
     * @return T
     */
    public static function exchange(object $holder, object $dressed, object $request): object
    {
        for ($class = new \ReflectionObject($holder); $class; $class = $class->getParentClass()) {
            foreach ($class->getProperties() as $property) {
                if (!$property->isStatic() && $property->isInitialized($holder) && $property->getValue($holder) === $dressed && !$property->isReadOnly()) {
                    $property->setValue($holder, $request);
                }
            }
        }

        return $holder;
    }
}
