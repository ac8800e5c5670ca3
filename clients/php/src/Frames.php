<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** Takes out of exceptions, and what else libraries make of a request, what goes into nobody's log. */
final class Frames
{
    /** Frames hold what was passed to them, tokens too, where `zend.exception_ignore_args` is off. */
    public static function forgetArguments(\Throwable $thrown): void
    {
        $bare = array_map(fn ($frame) => array_diff_key($frame, ['args' => 0]), $thrown->getTrace());
        $class = $thrown instanceof \Error ? \Error::class : \Exception::class;
        (new \ReflectionProperty($class, 'trace'))->setValue($thrown, $bare);
    }

    /** Have an object name the requests (of PSR-7) that it names as `$how` makes them. */
    public static function renameRequests(object $holder, callable $how): void
    {
        for ($class = new \ReflectionObject($holder); $class; $class = $class->getParentClass()) {
            foreach ($class->getProperties() as $property) {
                $isOpen = !$property->isStatic() && !$property->isReadOnly() && $property->isInitialized($holder);
                $value = $isOpen ? $property->getValue($holder) : null;
                if (is_object($value) && method_exists($value, 'withRequestTarget')) {
                    $property->setValue($holder, $how($value));
                }
            }
        }
    }
}
