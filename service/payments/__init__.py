"""From a posted body to records of the three payment topics."""
