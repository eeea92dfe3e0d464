/*
 * openh264 allocates for the worst case of every profile and writes zeros to all
 * of it. A third of a decoder's is not used by the streams of calls: motion of B
 * pictures, say, and room for coded pictures of a megabyte. Zeros that nobody
 * has written cost no memory, so this takes the place of the function that
 * writes them.
 *
 * The dynamic linker prefers a program's symbol to that of a library. Where
 * openh264 was built so that its own cannot be replaced, nothing here is called,
 * and all that is lost is memory.
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* WelsCommon::CMemoryAlign::WelsMalloc (const uint32_t size, const char* tag) */
void *sky_wels_malloc(void *self, uint32_t size, const char *tag)
		__asm__("_ZN10WelsCommon12CMemoryAlign10WelsMallocEjPKc") __attribute__((weak));

/* WelsCommon::CMemoryAlign::WelsMallocz, the same with zeros */
void *sky_wels_mallocz(void *self, uint32_t size, const char *tag)
		__asm__("_ZN10WelsCommon12CMemoryAlign11WelsMalloczEjPKc");

void *sky_wels_mallocz(void *self, uint32_t size, const char *tag) {
	char *p = sky_wels_malloc(self, size, tag);
	if (!p)
		return p;
#ifdef __linux__ /* elsewhere the advice does not promise zeros */
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	char *from = (char *)(((uintptr_t)p + page - 1) & ~(page - 1));
	char *to = (char *)(((uintptr_t)p + size) & ~(page - 1));
	/* Below some size a call of the kernel costs more than it saves. */
	if (to > from && to - from >= 32 << 10 && madvise(from, (size_t)(to - from), MADV_DONTNEED) == 0) {
		memset(p, 0, (size_t)(from - p));
		memset(to, 0, (size_t)(p + size - to));
		return p;
	}
#endif
	return memset(p, 0, size);
}
