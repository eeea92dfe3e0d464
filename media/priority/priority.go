// Package priority tells the kernel which threads are not to be kept waiting.
//
// Sound is made every 20 ms and takes little time; pictures take all the time
// there is. The kernel knows nothing of that: it lets each thread run for some
// milliseconds, whoever else wants to. Where it cannot be told (it is not Linux, or
// an old one), nothing here does anything, and nothing depends on it.
package priority
