/* The header of a voice is not installed, so its function is declared here. */
#include <stdlib.h>
#include <flite/flite.h>

cst_voice *register_cmu_us_slt(const char *voxdir);

static inline cst_voice *sky_flite_voice(void) {
	flite_init();
	return register_cmu_us_slt(NULL);
}
