/* Judges a history that has come to rest: everything that was committed against everything that was fed and done (DELIVERY §1).
 */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

/* Each broken promise is told to sim_violation, with what happened, to whom, and what was expected. */
void check_history(void);

#endif
