/* What every header may use: marks for functions, and the size of an array. */
#ifndef GH_BASE_ATTRIBUTES_H
#define GH_BASE_ATTRIBUTES_H

#define GH_MUST_USE __attribute__((warn_unused_result))
#define GH_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
/* A large array of a hot path that is written before it is read: the release build, which clears
 * every variable, leaves it alone. */
#if __has_attribute(uninitialized)
#define GH_UNINITIALIZED __attribute__((uninitialized))
#else
#define GH_UNINITIALIZED
#endif
/* Whether the address sanitizer watches, by the word of either compiler. */
#ifdef __SANITIZE_ADDRESS__
#define GH_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GH_ADDRESS_SANITIZER 1
#endif
#endif
#ifndef GH_ADDRESS_SANITIZER
#define GH_ADDRESS_SANITIZER 0
#endif
#ifndef GH_COUNT
#define GH_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#endif
#endif
